import json
from pathlib import Path

import numpy as np
import pytest

from station.domain.errors import ConfigurationError
from station.screening.baselines import DARKEST_CHANNEL, DARKNESS, P, plain_scores
from station.screening.colour_histogram import histogram, left_out_scores
from station.screening.correction import FloatArray
from station.screening.evaluation_lines import evaluation_lines, pair_lines
from station.screening.image import encode_png
from station.screening.pair_evaluation import evaluate_pairs
from station.screening.pipeline import Reading


class BlindScorer:
    """Sees the same in everything."""

    def score(self, le: FloatArray, he: FloatArray) -> Reading:
        return Reading(heat=np.full((-(-le.shape[0] // 4), -(-le.shape[1] // 4)), 0.5, np.float32), score=0.5)

    def threshold_for(self, kind: str) -> float:
        return 0.4


HEAD = "file,benign_file,label,scanner_group,source,x,y,w,h\n"


def written(folder: Path, count: int = 6) -> Path:
    """Pairs of pale pictures; the threat is a black block."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        picture = np.full((120, 160, 3), 250, np.uint8)
        picture[15:105, 20:140] = (200, 225, 245)
        x, y = int(rng.integers(30, 90)), int(rng.integers(25, 70))
        picture[40:60, 90:130] = (60, 150, 240)
        (folder / f"benign_{number}.png").write_bytes(encode_png(picture))
        picture[y : y + 20, x : x + 30] = (4, 4, 4)
        (folder / f"threat_{number}.png").write_bytes(encode_png(picture))
        rows.append(f"threat_{number}.png,benign_{number}.png,{'gun' if number % 2 else 'knife'},s,scene{number // 2},{x},{y},30,20\n")
    file = folder / "pairs.csv"
    file.write_text(HEAD + "".join(rows), encoding="utf-8")
    return file


def test_a_blind_model_is_at_chance_and_darkness_beats_it(tmp_path: Path):
    file = written(tmp_path)
    seen: list[tuple[int, int]] = []
    found = evaluate_pairs(BlindScorer(), file, tmp_path, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 12) for done in range(1, 13)]
    assert (found["pairs"], found["scenes"], found["failed"], found["missing"]) == (6, 3, {}, 0)
    assert [found[key]["mean"] for key in ("auroc", "paired_win", "tpr")] == [0.5, 0.5, 0.0]
    for name in (DARKNESS, DARKEST_CHANNEL):
        row = found["baselines"][name]
        assert [row[key]["mean"] for key in ("auroc", "paired_win", "tpr")] == [1.0, 1.0, 1.0]
        assert row["model_better_by"]["auroc"] == {"mean": -0.5, "lo": -0.5, "hi": -0.5, "n": 6}
    assert set(found["by_label"]) == {"gun", "knife"}
    assert found["by_label"]["gun"]["pairs"] == 3
    assert json.loads(json.dumps(found)) == evaluate_pairs(BlindScorer(), file, tmp_path)
    assert any(line.startswith("  model minus darkness") for line in pair_lines(found))


def test_a_pair_of_which_one_picture_is_broken_or_gone_is_named_and_left_out(tmp_path: Path):
    file = written(tmp_path, 3)
    (tmp_path / "benign_1.png").write_bytes(b"nothing")
    (tmp_path / "threat_2.png").unlink()
    found = evaluate_pairs(BlindScorer(), file, tmp_path)
    assert found["pairs"] == 1
    assert set(found["failed"]) == {"benign_1.png"}
    assert found["missing"] == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("file,label\na,b\n", "lacks the columns benign_file, scanner_group"),
        (HEAD, "names no pair"),
        (HEAD + "threat_0.png,benign_0.png,gun,s,scene0,1,2,3,wide\n", "line 2: x, y, w and h are no box"),
        (HEAD + "threat_0.png,benign_0.png,gun\n", "line 2: it has not as many fields"),
    ],
)
def test_a_bad_list_of_pairs_is_named(tmp_path: Path, content: str, why: str):
    written(tmp_path, 1)
    (tmp_path / "bad.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=why):
        evaluate_pairs(BlindScorer(), tmp_path / "bad.csv", tmp_path)


def test_p_prefers_metal_where_darkness_sees_no_difference():
    le, he = np.ones((80, 120), np.float32), np.ones((80, 120), np.float32)
    # water and steel of the same mean attenuation
    le[30:50, 20:40], he[30:50, 20:40] = np.exp(-0.78), np.exp(-0.6)
    le[30:50, 80:100], he[30:50, 80:100] = np.exp(-1.0), np.exp(-0.38)
    maps = plain_scores(le, he).maps
    water, steel = (slice(35, 45), slice(25, 35)), (slice(35, 45), slice(85, 95))
    assert maps[DARKNESS][steel].mean() == pytest.approx(maps[DARKNESS][water].mean(), rel=0.01)
    assert maps[P][steel].mean() > 1.5 * maps[P][water].mean()


def test_colours_tell_scanners_apart_but_never_through_the_own_scene():
    rng = np.random.default_rng(3)
    pictures = [np.clip(rng.normal(90 + 80 * (number % 2), 6, (20, 20, 3)), 0, 255).astype(np.uint8) for number in range(40)]
    histograms = np.stack([histogram(one) for one in pictures])
    positive = np.arange(40) % 2 == 1
    apart = left_out_scores(histograms, positive, [str(number) for number in range(40)])
    assert apart[positive].min() > 0.9
    assert apart[~positive].max() < 0.1
    assert left_out_scores(histograms, positive, ["one"] * 40).tolist() == [0.5] * 40


def test_the_table_warns_before_it_shows_whole_pictures():
    nothing = {"mean": None, "lo": None, "hi": None, "n": 0}
    empty = {"patch_auroc": nothing, "pointing": nothing, "image_auroc": nothing}
    report = {"images": 1, "scenes": 1, "failed": {}, "missing": 0, "by_group": {}, "by_label": {}, **empty, "baselines": {"P": empty}}
    lines = evaluation_lines(report)
    warned = next(index for index, line in enumerate(lines) if line.startswith("WARNING"))
    assert any("image AUROC" in line for line in lines[warned:])
    assert not any("image AUROC" in line for line in lines[:warned])
