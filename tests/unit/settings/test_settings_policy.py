"""The policy's file: every rule shows in its hash, and no model decides without a proof."""

from collections.abc import Callable
from pathlib import Path

import pytest

from station.domain.errors import ConfigurationError
from station.settings import load, load_policy, read, refuse_unproved_model, with_freeze_score
from station.settings.policy_file import policy_sha256
from tests.unit.settings.file_edits import replaced


def test_a_policy_file_that_is_not_there(site: Path):
    (site.parent / "policy.toml").unlink()
    with pytest.raises(ConfigurationError, match=r"policy\.toml: cannot be read"):
        load(site)


POLICY_CHANGES: dict[str, Callable[[str], str]] = {
    "alpha": lambda text: text.replace("alpha = 0.05", "alpha = 0.04"),
    "levels": lambda text: text.replace('["A", "B"]', '["A"]'),
    "authority": lambda text: text.replace('C = "operator"', 'C = "two_people"'),
    "unannounced": lambda text: text.replace('"hold"', '"accept"'),
    "advisory": lambda text: text.replace('model_on_marked = "advisory"', 'model_on_marked = "off"'),
    "freeze score": lambda text: text.replace("# freeze_score = 8.0", "freeze_score = 8.0"),
}


@pytest.mark.parametrize("name", sorted(POLICY_CHANGES))
def test_every_rule_shows_in_the_policys_hash(site: Path, name: str):
    path = site.parent / "policy.toml"
    before = load_policy(path)
    path.write_text(POLICY_CHANGES[name](path.read_text(encoding="utf-8")), encoding="utf-8")
    after = load_policy(path)
    assert after != before
    assert after.sha256 != before.sha256


def test_comments_and_order_do_not_show_in_the_policys_hash(site: Path):
    path = site.parent / "policy.toml"
    before = load_policy(path).sha256
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")), encoding="utf-8")
    replaced(path, '["A", "B"]', '["B", "A"]')
    assert load_policy(path).sha256 == before
    path.write_text("", encoding="utf-8")
    assert load_policy(path).sha256 == before


def test_the_models_freeze_score_is_taken_where_the_site_gives_none(site: Path):
    policy = load_policy(site.parent / "policy.toml")
    merged = with_freeze_score(policy, 7.5)
    assert merged.freeze_score == 7.5
    assert merged.sha256 == policy_sha256(merged) != policy.sha256
    assert with_freeze_score(merged, 3.0) is merged
    assert with_freeze_score(policy, None) is policy


def test_the_demo_alone_may_waive_the_proof(site: Path):
    path = site.parent / "policy.toml"
    replaced(path, "unproved_model = false", "unproved_model = true")
    assert load_policy(path, demo=True).unproved_model
    assert load(site, demo=True).policy.unproved_model


def test_an_unproved_model_is_refused_as_authority(site: Path):
    path = site.parent / "policy.toml"
    line = replaced(path, 'unmarked = "operator"', 'unmarked = "model"')
    policy, file = load_policy(path), read(path)
    with pytest.raises(ConfigurationError, match=f"policy.toml:{line}: authority.unmarked: 'model' is not allowed: not signed") as refused:
        refuse_unproved_model(policy, file, proved=False, why_not="not signed")
    assert "two_people" in refused.value.remedy
    refuse_unproved_model(policy, file, proved=True, why_not="")
    replaced(path, "unproved_model = false", "unproved_model = true")
    refuse_unproved_model(load_policy(path, demo=True), file, proved=False, why_not="not signed")


def test_people_as_authority_need_no_proof(site: Path):
    path = site.parent / "policy.toml"
    refuse_unproved_model(load_policy(path), read(path), proved=False, why_not="not signed")
