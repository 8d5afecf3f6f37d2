from dataclasses import replace

from station.screening.card import card_lines
from station.screening.manifest import load_model
from tests.support.screening_models import SHIPPED


def test_the_shipped_models_card_names_what_matters():
    manifest, data = load_model(SHIPPED)
    card = "\n".join(card_lines(manifest))
    assert manifest.model_sha256 in card
    assert "signed: yes" in card
    assert "self-graded" in card
    assert "darkness alone" in card
    assert "blade" in card
    assert len(data) < 8 * 1024 * 1024


def test_the_card_counts_by_the_kinds_that_are_announced():
    manifest, _ = load_model(SHIPPED)
    counts = "by kind as announced: envelope 600, packet 600, parcel 1200, unknown 2400"
    assert any(line.endswith(counts) for line in card_lines(manifest))
    few = replace(manifest, calibration={**manifest.calibration, "packet": manifest.calibration["packet"][:499]})
    assert any("packet 499, too few to clear any, parcel" in line for line in card_lines(few))


def test_the_card_says_of_which_threats_the_bound_of_detection_speaks():
    manifest, _ = load_model(SHIPPED)
    assert not any("nothing is claimed" in line for line in card_lines(manifest))
    proved = replace(manifest, detection_lower_95=0.93, metrics={"classes_measured": ["blade", "shield"]})
    (line,) = [line for line in card_lines(proved) if "nothing is claimed" in line]
    assert "measured with blade, shield; nothing is claimed of handgun, bomb," in line
    assert line.endswith("lithium_pack")
    older = replace(proved, metrics={})
    assert any("classes that are not named" in line for line in card_lines(older))


def test_the_shipped_calibration_supports_every_kind():
    manifest, _ = load_model(SHIPPED)
    for kind in ("envelope", "packet", "document_parcel", "small_parcel", "unknown"):
        assert len(manifest.calibration[kind]) >= 500
    assert manifest.metrics["auroc_darkness"] <= 0.85
    assert manifest.metrics["benign_alarmed"] <= 0.08
