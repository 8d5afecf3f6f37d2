import json
from pathlib import Path

import numpy as np
import pytest

from station.domain.errors import ConfigurationError
from station.screening.correction import FloatArray
from station.screening.evaluation import evaluate, score_images
from station.screening.features import attenuation, material_index
from station.screening.image import encode_png, resample
from station.screening.palette import from_colours
from station.screening.pipeline import Reading
from station.screening.resampling import auroc

ORANGE, GREEN, BLUE, BLACK = (60, 150, 240), (90, 170, 90), (190, 90, 40), (4, 4, 4)


class DarknessScorer:
    """Heat is plain darkness: what it must give is known."""

    def score(self, le: FloatArray, he: FloatArray) -> Reading:
        dark = np.clip((attenuation(le) + attenuation(he)) / 8, 0, 1).astype(np.float32)
        heat = resample(dark, height=-(-le.shape[0] // 4), width=-(-le.shape[1] // 4))
        return Reading(heat=heat, score=float(heat.max()))

    def threshold_for(self, kind: str) -> float:
        assert kind == "unknown"
        return 0.5


def picture(*things: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> np.ndarray:
    image = np.full((300, 400, 3), 250, np.uint8)
    image[40:260, 40:360] = (200, 225, 245)
    for (x, y, width, height), colour in things:
        image[y : y + height, x : x + width] = colour
    return image


def folder(tmp_path: Path) -> tuple[Path, Path]:
    images = tmp_path / "pictures"
    images.mkdir()
    benign, threat = picture(((200, 100, 60, 40), ORANGE)), picture(((200, 100, 60, 40), ORANGE), ((90, 150, 60, 50), BLACK))
    (images / "benign.png").write_bytes(encode_png(benign))
    (images / "threat.png").write_bytes(encode_png(threat))
    rows = ["file,is_threat,boxes_xywh,scanner_group", "pictures/benign.png,0,[],a"]
    rows.append('pictures/threat.png,1,"[[""gun"", 90, 150, 60, 50]]",b')
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(rows), encoding="utf-8")
    return manifest, images


def test_palette_inversion_tells_materials_and_density():
    image = picture(((60, 60, 60, 60), ORANGE), ((160, 60, 60, 60), GREEN), ((260, 60, 60, 60), BLUE), ((60, 180, 60, 60), BLACK))
    told = from_colours(image)
    le, he = told.le, told.he
    assert le[5, 5] == pytest.approx(1, abs=0.02)
    places = [(90, 90), (90, 190), (90, 290)]
    materials = [float(material_index(attenuation(le), attenuation(he))[place]) for place in places]
    assert materials[0] < 0.15
    assert materials[0] < materials[1] < materials[2]
    assert materials[2] > 0.7
    assert he[210, 90] < 0.05
    assert (le <= he + 1e-6).all()


def test_palette_inversion_takes_the_belt_for_air():
    grey = np.clip(picture(((60, 60, 60, 60), BLUE)).astype(int) - 30, 0, 255).astype(np.uint8)
    assert from_colours(grey).le[5, 5] == pytest.approx(1, abs=0.02)


def test_the_report_has_every_part_of_the_contract(tmp_path: Path):
    manifest, images = folder(tmp_path)
    report = json.loads(json.dumps(evaluate(DarknessScorer(), manifest, images)))
    assert report["images"] == 2
    assert set(report["image_scores"]) == {"pictures/benign.png", "pictures/threat.png"}
    assert set(report["patch_auroc"]) == {"mean", "lo", "hi", "n"}
    assert report["patch_auroc"]["n"] == 1
    assert report["patch_auroc"]["mean"] > 0.99
    assert report["pointing"]["mean"] == 1
    assert {"darkness", "P", "random", "colour_histogram"} <= set(report["baselines"])
    assert "no result" in report["warning"]
    assert report["baselines"]["darkness"]["patch_auroc"]["mean"] > 0.99
    assert 0.2 < report["baselines"]["random"]["patch_auroc"]["mean"] < 0.8
    assert set(report["by_group"]) == {"b"}
    assert report == json.loads(json.dumps(evaluate(DarknessScorer(), manifest, images)))


def test_scores_of_a_folder(tmp_path: Path):
    _, images = folder(tmp_path)
    (images / "broken.jpg").write_bytes(b"nothing")
    scores = json.loads(json.dumps(score_images(DarknessScorer(), images)))
    assert scores["benign.png"]["findings"] == []
    x, y, width, height = scores["threat.png"]["findings"][0]["box_xywh"]
    assert (x, y) == (pytest.approx(90, abs=8), pytest.approx(150, abs=8))
    assert (width, height) == (pytest.approx(60, abs=12), pytest.approx(50, abs=12))
    assert scores["broken.jpg"]["score"] is None
    assert "broken.jpg" in scores["broken.jpg"]["error"]


def test_a_score_says_that_it_came_from_colours_and_of_which_palette(tmp_path: Path):
    manifest, images = folder(tmp_path)
    (images / "noise.png").write_bytes(encode_png(np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)))
    scores = score_images(DarknessScorer(), images)
    origin = {key: scores["threat.png"][key] for key in ("channels", "palette")}
    assert origin == {"channels": "colours", "palette": "dense-black"}
    assert scores["threat.png"]["palette_confidence"] > 0.5
    assert scores["noise.png"]["score"] is None
    assert "--palette" in scores["noise.png"]["error"]
    named = score_images(DarknessScorer(), images, palette="grey")
    assert {row["palette"] for row in named.values()} == {"grey"}
    assert evaluate(DarknessScorer(), manifest, images)["palettes"] == {"dense-black": 2}
    assert evaluate(DarknessScorer(), manifest, images, palette="grey")["palettes"] == {"grey": 2}
    for call in (
        lambda: score_images(DarknessScorer(), images, palette="x"),
        lambda: evaluate(DarknessScorer(), manifest, images, palette="x"),
    ):
        with pytest.raises(ConfigurationError, match="palette 'x'"):
            call()


def test_bad_input_is_named(tmp_path: Path):
    manifest, images = folder(tmp_path)
    with pytest.raises(ConfigurationError, match="No such file"):
        evaluate(DarknessScorer(), tmp_path / "none.csv", images)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigurationError):
        score_images(DarknessScorer(), empty)
    head = "file,is_threat,boxes_xywh,scanner_group\n"
    for content, why in (
        ("file,is_threat\nx.png,1\n", "lacks the columns boxes_xywh, scanner_group"),
        (head + "x.png,1,[],a\n", "names no picture"),
        (head + "pictures/threat.png,perhaps,[],a\n", "line 2: is_threat is 'perhaps'"),
        (head + "pictures/threat.png,1,[[1,2,3]],a\n", "line 2"),
        (head + "pictures/threat.png,1\n", "line 2: it has not as many fields"),
    ):
        manifest.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigurationError, match=why):
            evaluate(DarknessScorer(), manifest, images)
    manifest.write_text("file,is_threat,boxes_xywh,scanner_group\npictures/threat.png,1,[[1],a\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="line 2"):
        evaluate(DarknessScorer(), manifest, images)


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 1, 0, 1], 0.875),
    ],
)
def test_auroc_table(scores: list[float], positive: list[int], expected: float):
    assert auroc(np.asarray(scores, np.float32), np.asarray(positive, bool)) == pytest.approx(expected)
