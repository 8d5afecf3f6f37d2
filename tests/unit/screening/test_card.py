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


def test_the_shipped_calibration_supports_every_kind():
    manifest, _ = load_model(SHIPPED)
    for kind in ("envelope", "packet", "document_parcel", "small_parcel", "unknown"):
        assert len(manifest.calibration[kind]) >= 500
    assert manifest.metrics["auroc_darkness"] <= 0.85
    assert manifest.metrics["benign_alarmed"] <= 0.08
