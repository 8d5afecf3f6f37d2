"""The checklist of a freeze: what it says is in its hash, and one that cannot be used is refused with its line."""

from pathlib import Path

import pytest

from station.domain.errors import ConfigurationError
from station.settings import load, load_checklist
from tests.unit.settings.file_edits import replaced


def test_checklists_mark_what_is_for_powder(site: Path):
    path = site.parent / "checklists/freeze.toml"
    before = load_checklist(path)
    powder = [step.id for step in before.steps if step.powder_only]
    assert powder == ["powder-cover-nothing", "powder-ventilation", "powder-wash", "powder-list"]
    # Its hash is that of what it says, and of nothing else.
    path.write_text(f"# {path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert load_checklist(path) == before
    replaced(path, "Báo công an", "Báo công an phường")
    assert load_checklist(path).sha256 != before.sha256


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('id = "leave-it"', 'id = "do-not-touch"', 9),
        ('id = "leave-it"', 'id = "Leave it"', 9),
        ('en = "Leave it in the machine"', 'en = " "', 11),
        ('en = "Leave it in the machine"', "", 8),
        ('en = "Leave it in the machine"', 'en = "x"\nwho = "x"', 12),
        ('en = "Leave it in the machine"', 'en = "a\\nb"', 11),
    ],
)
def test_a_checklist_that_cannot_be_used_is_refused_with_its_line(site: Path, old: str, new: str, line: int):
    path = site.parent / "checklists/freeze.toml"
    replaced(path, old, new)
    with pytest.raises(ConfigurationError, match=rf"freeze\.toml:{line}: "):
        load(site)


def test_a_checklist_for_powders_alone_is_refused(site: Path):
    path = site.parent / "checklists/freeze.toml"
    path.write_text('[[steps]]\nid = "a"\nvi = "a"\nen = "a"\npowder_only = true\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="for a powder alone"):
        load(site)
