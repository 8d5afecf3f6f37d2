from pathlib import Path

import numpy as np
import onnx
import pytest

from station.domain.errors import ScreeningError
from station.domain.reasons import NAMED_BY_MODEL, Reason
from station.domain.scan import Finding
from station.screening.anomaly_model import OnnxModel, load_reader
from station.screening.refeed import new_findings
from station.screening.spots import MOST_SPOTS, THREAT_CLASSES, find_spots
from tests.support import screening_models as models

NAMES = tuple(THREAT_CLASSES.values())
GUN, BLADE = NAMES.index(Reason.MODEL_HANDGUN), NAMES.index(Reason.MODEL_BLADE)


def picture() -> tuple[np.ndarray, np.ndarray]:
    heat, classes = np.full((30, 40), 0.05, np.float32), np.zeros((len(NAMES), 30, 40), np.float32)
    heat[5:9, 10:16] = 0.9
    heat[20:24, 30:33] = 0.6
    heat[25:28, 2:4] = 0.4
    classes[GUN, 5:9, 10:16] = 6.0
    return heat, classes


def test_every_name_belongs_to_a_class_and_every_class_to_a_name():
    assert set(NAMES) == NAMED_BY_MODEL
    assert len(NAMES) == len(THREAT_CLASSES)


def test_a_spot_is_its_cells_and_is_named_only_where_one_class_is_clear():
    spots = find_spots(*picture(), NAMES)
    assert [one.box for one in spots] == [(10, 5, 6, 4), (30, 20, 3, 4)]
    assert [one.reason for one in spots] == [Reason.MODEL_HANDGUN, Reason.MODEL_ALARM]
    assert [round(one.heat, 3) for one in spots] == [0.9, 0.6]


def test_two_classes_that_share_a_spot_leave_it_unnamed():
    heat, classes = picture()
    classes[BLADE, 5:9, 13:16] = 12.0
    assert find_spots(heat, classes, NAMES)[0].reason is Reason.MODEL_ALARM
    # hotter cells count more
    heat[5:9, 10:13] = 0.5
    heat[5:9, 13:16] = 1.0
    assert find_spots(heat, classes, NAMES)[0].reason is Reason.MODEL_BLADE


def test_a_model_without_classes_names_nothing_and_few_spots_are_given():
    heat = np.zeros((40, 40), np.float32)
    heat[::8, ::8] = np.linspace(0.6, 1.0, 25).reshape(5, 5)
    spots = find_spots(heat)
    assert len(spots) == MOST_SPOTS
    assert {one.reason for one in spots} == {Reason.MODEL_ALARM}
    assert spots[0].box == (32, 32, 1, 1)


def test_the_reader_names_what_the_model_names(tmp_path: Path):
    folder = models.write_model(
        tmp_path, models.naming_model(), calibration={"unknown": np.linspace(0, 0.01, 600).tolist()}, classes=list(THREAT_CLASSES)
    )
    reader = load_reader(folder, alpha=0.05, trusted_keys=models.KEYS, pictures=False)
    # the small model calls dense material a handgun and what is merely dark nothing
    metal = (100, 100, 40, 24, 0.02, 0.1)
    result = reader.read(models.raw_scan(boxes=((60, 70, 120, 130, 0.8, 0.86), metal)))
    assert result.score >= result.threshold
    assert result.model_findings[0].reason is Reason.MODEL_HANDGUN
    x, y, width, height = result.model_findings[0].box_px
    assert abs(x - 100) <= 8
    assert abs(y - 100) <= 8
    assert abs(width - 40) <= 12
    assert abs(height - 24) <= 12


@pytest.mark.parametrize(
    ("made", "classes", "says"),
    [
        (models.naming_model(), [], "gave 3 outputs"),
        (models.sound_model(), list(THREAT_CLASSES), "gave 2 outputs"),
        (models.naming_model(), list(THREAT_CLASSES)[1:], "answered shapes"),
    ],
)
def test_classes_that_the_manifest_does_not_name_are_nonsense(tmp_path: Path, made: onnx.ModelProto, classes: list[str], says: str):
    reader = load_reader(models.write_model(tmp_path, made, classes=classes), alpha=0.05, trusted_keys=models.KEYS)
    air = np.ones((80, 80), np.float32)
    with pytest.raises(ScreeningError, match=says):
        reader.score(air, air)


def test_a_class_without_words_is_refused(tmp_path: Path):
    folder = models.write_model(tmp_path, models.naming_model(), classes=["sword"])
    with pytest.raises(ScreeningError, match="no words for its class 'sword'"):
        load_reader(folder, alpha=0.05, trusted_keys=models.KEYS)


def test_a_model_of_two_outputs_has_no_features():
    with pytest.raises(ScreeningError, match="no features"):
        OnnxModel(models.sound_model().SerializeToString()).features(np.zeros((1, 4, 64, 64), np.float32))


@pytest.mark.parametrize(
    ("cleared", "new", "fresh"),
    [
        (Reason.MODEL_ALARM, Reason.MODEL_BLADE, False),
        (Reason.MODEL_BLADE, Reason.MODEL_ALARM, False),
        (Reason.MODEL_BLADE, Reason.MODEL_BLADE, False),
        (Reason.MODEL_BLADE, Reason.MODEL_BOMB, True),
        (Reason.OPAQUE_AREA, Reason.MODEL_ALARM, True),
    ],
)
def test_what_only_one_scan_names_is_no_new_finding(cleared: Reason, new: Reason, fresh: bool):
    found = new_findings((Finding(reason=cleared),), (Finding(reason=new),))
    assert bool(found) is fresh
