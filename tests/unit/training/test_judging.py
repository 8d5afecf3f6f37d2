"""Judging a model: scores are kept and never mixed, figures mean what they say, the card speaks of one model alone."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from station.domain.errors import ConfigurationError
from station.screening.anomaly_model import OnnxModel
from station.screening.card import card_lines
from station.screening.features import model_input
from station.screening.manifest import Manifest, load_model
from station.screening.pipeline import Reader
from tests.support.screening_models import SHIPPED, sound_model
from training.ablations import PARTS, ablated, without
from training.card import card, measured
from training.evaluate import left_out, require_left_out
from training.kinds import MAIL_KINDS
from training.mail_coverage import coverage_lines, coverage_report
from training.mail_report import mail_lines, mail_report
from training.unseen_mail import Block, Scored, ScoreFile, blocks, generator, scan_of, score_block

HEAD = {"format": 1, "model": "m", "scorers": ["model"], "generation": 1, "seed": 5}
BLOCK = Block(kind="envelope", threat="", first=0, count=2)


@pytest.fixture(scope="module")
def shipped() -> tuple[Manifest, bytes]:
    return load_model(SHIPPED)


def piece(kind: str, threat: str, number: int, score: float, *, visibility: float = 0.0) -> Scored:
    scores = {"model": score, "darkness": 0.5, "dark_area": 0.5, "P": 0.5, "random": number / 997 % 1}
    return Scored(kind=kind, threat=threat, number=number, visibility=visibility, scores=scores, findings=(), size_error_mm=1.0)


def mail_of(manifest: Manifest, *, benign: int = 12, shift: float = 0.0) -> list[Scored]:
    """Benign pieces that score as the calibration does, and threats of which the first half scores far above it."""
    rng = np.random.default_rng(4)
    pieces = []
    for kind in MAIL_KINDS:
        drawn = rng.choice(manifest.scores_for(kind), benign) + rng.uniform(0, 1e-9, benign)
        pieces += [piece(kind, "", number, float(score + shift)) for number, score in enumerate(drawn)]
        pieces += [piece(kind, "blade", number, 1.5 if number < 5 else 0.0, visibility=float(number)) for number in range(10)]
    return pieces


def test_a_block_scores_as_the_station_reads_and_repeats_from_its_seed(shipped: tuple[Manifest, bytes]):
    manifest, data = shipped
    lines = score_block(manifest, {"model": data}, 1, 5, BLOCK)
    assert lines == score_block(manifest, {"model": data}, 1, 5, BLOCK)
    reader = Reader(manifest, OnnxModel(data), alpha=0.05, pictures=False)
    for line, (_, drawn, scan) in zip(lines, scan_of(generator(1), 5, BLOCK), strict=True):
        result = reader.read(scan)
        assert line["scores"]["model"] == pytest.approx(result.score, abs=1e-6)
        assert line["findings"] == tuple(sorted({one.reason.value for one in result.findings}))
        assert drawn.kind == line["kind"] == "envelope"


def test_scores_are_kept_and_taken_up_again_even_after_a_broken_line(tmp_path: Path):
    file = tmp_path / "scores.jsonl"
    line = {"kind": "envelope", "threat": "", "number": 0, "visibility": 0.0, "scores": {"model": 0.1}, "findings": [], "size_error_mm": 1}
    first = ScoreFile(file, HEAD)
    first.add(BLOCK, [line])
    with pytest.raises(ConfigurationError, match="in use by another run"):
        ScoreFile(file, HEAD)
    first.close()
    with file.open("a") as broken:
        broken.write('{"block": "packet//0+2", "pie')
    again = ScoreFile(file, HEAD)
    other = Block(kind="packet", threat="", first=0, count=2)
    assert again.lacking([BLOCK, other]) == [other]
    again.add(other, [line])
    again.close()
    last = ScoreFile(file, HEAD)
    assert len(last.pieces([BLOCK, other])) == 2
    last.close()


def test_scores_of_another_model_are_refused(tmp_path: Path):
    file = tmp_path / "scores.jsonl"
    ScoreFile(file, HEAD).close()
    with pytest.raises(ConfigurationError, match="another model, seed"):
        ScoreFile(file, {**HEAD, "model": "n", "seed": 6})
    file.write_text("no scores\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no file of scores"):
        ScoreFile(file, HEAD)


def test_blocks_hold_every_kind_and_class_and_one_class_alone_if_asked():
    source = generator(1)
    everything = blocks(source, per_kind=25, per_threat=3)
    assert sum(block.count for block in everything if not block.threat) == 25 * len(source.kinds)
    assert {(block.kind, block.threat) for block in everything if block.threat} == {
        (kind, threat) for kind in source.kinds for threat in source.threats[kind]
    }
    assert {block.threat for block in blocks(source, per_kind=1, per_threat=1, only="handgun")} == {"", "handgun"}
    assert [block.kind for block in blocks(source, per_kind=1, per_threat=0, unknown=True)] == [*source.kinds, "unknown"]
    with pytest.raises(ConfigurationError, match="generation 99"):
        generator(99)


def test_only_threats_above_the_floor_count(shipped: tuple[Manifest, bytes]):
    pieces = mail_of(shipped[0])
    everything, seen = (mail_report(pieces, shipped[0], floor=floor) for floor in (0.0, 5.0))
    assert (everything["below_floor"], seen["below_floor"]) == (0, 15)
    assert set(everything["by_kind"]) == set(MAIL_KINDS)
    whole = everything["groups"]["all kinds"]
    assert whole["tpr_within_kind"]["mean"] == pytest.approx(0.5)
    assert whole["auroc_within_kind"]["mean"] == pytest.approx(0.5, abs=0.02)
    # numbers 5 to 9 are those that the model misses
    assert seen["groups"]["all kinds"]["tpr_within_kind"]["mean"] == 0.0
    point = everything["operating_point"]
    assert point["threats"]["alarmed"]["mean"] == pytest.approx(0.5)
    assert [row["threat"] for row in point["failures"] if row["threat"]] == ["blade", "blade"]
    assert "15 lie below" in mail_lines({"generation": 1, "seed": 5, **seen})[0]


def test_coverage_holds_for_the_same_population_and_fails_for_another(shipped: tuple[Manifest, bytes]):
    manifest = shipped[0]
    same = coverage_report(mail_of(manifest, benign=560), manifest, draws=200)
    assert same["holds"]
    assert {row["kind"] for row in same["splits"]} == {row["kind"] for row in same["as_shipped"]} == set(MAIL_KINDS)
    assert {row["n"] for row in same["as_shipped"] if row["kind"] == "parcel"} == {1200}
    other = coverage_report(mail_of(manifest, benign=560, shift=0.2), manifest, draws=200)
    assert not other["holds"]
    assert all(row["holds"] for row in other["splits"])
    with pytest.raises(ConfigurationError, match="too few to be split"):
        coverage_report(mail_of(manifest, benign=50), manifest, draws=200)


def test_a_kind_with_too_few_scores_of_its_own_borrows_no_threshold(shipped: tuple[Manifest, bytes]):
    manifest = replace(shipped[0], calibration={**shipped[0].calibration, "packet": shipped[0].calibration["packet"][:499]})
    pieces = mail_of(manifest)
    point = mail_report(pieces, manifest, floor=0.0)["operating_point"]
    assert point["not_cleared"] == {"packet": 499}
    assert set(point["benign_by_kind"]) == {"envelope", "parcel"}
    assert point["threats"]["held"]["n"] == 20
    lines = mail_lines({"generation": 1, "seed": 5, **mail_report(pieces, manifest, floor=0.0)})
    assert lines[-1].strip().startswith("packet: 499 calibration scores of its own, 500 are needed")
    found = coverage_report(mail_of(manifest, benign=560), manifest, draws=100)
    assert {row["kind"] for row in found["as_shipped"]} == {"envelope", "parcel"}
    assert found["not_cleared"] == {"packet": 499}
    assert any("packet: 499" in line for line in coverage_lines(found))
    packets = [one for one in pieces if one.kind == "packet"]
    with pytest.raises(ConfigurationError, match="of no kind of piece that was measured"):
        mail_report(packets, manifest, floor=0.0)


def test_pieces_of_unknown_kind_are_held_against_its_own_scores(shipped: tuple[Manifest, bytes]):
    pieces = [piece("unknown", "", number, 2.0) for number in range(560)] + mail_of(shipped[0])
    rows = {row["kind"]: row for row in coverage_report(pieces, shipped[0], draws=100)["as_shipped"] if row["alpha"] == 0.05}
    # neither do other kinds count as unknown, nor are these among the others
    assert (rows["unknown"]["m"], rows["unknown"]["held"], rows["parcel"]["m"]) == (560, 560, 12)


def test_a_class_is_unknown_only_to_a_model_whose_manifest_says_so(shipped: tuple[Manifest, bytes]):
    with pytest.raises(ConfigurationError, match="does not say that a class was left out"):
        left_out(argparse.Namespace(model=SHIPPED, threat="blade"))
    without_powder, data = replace(shipped[0], metrics={**shipped[0].metrics, "left_out": "powder"}), shipped[1]
    with pytest.raises(ConfigurationError, match="was trained without powder") as told:
        require_left_out(without_powder, "blade")
    assert "--leave-out blade" in told.value.remedy
    require_left_out(without_powder, "powder")
    report = {"generation": 1, "seed": 5, **mail_report(mail_of(without_powder), without_powder, floor=0.0)}
    assert "trained without any piece that holds powder" in card_lines(without_powder)
    assert "**without any piece that holds powder**" in card(without_powder, data, {"mail": report, "left_out": []})


def test_a_part_is_switched_off_and_nothing_else(shipped: tuple[Manifest, bytes]):
    _, data = shipped
    rng = np.random.default_rng(6)
    channels = model_input(*(rng.uniform(0.05, 1.0, (64, 64)).astype(np.float32) for _ in range(2)))[None]
    heat, score = OnnxModel(data)(channels)
    changed = {name: OnnxModel(one)(channels) for name, one in ablated(data).items()}
    assert set(changed) == set(PARTS)
    plain_heat, plain_score = changed["without plain terms in the heat"]
    assert np.abs(plain_heat - heat).max() > 0.01
    assert plain_score == score
    assert changed["without smoothing of the logits"][1] != score
    assert without(sound_model().SerializeToString(), PARTS["without smoothing of the logits"]) is None
    with pytest.raises(ConfigurationError, match="none of the parts"):
        ablated(sound_model().SerializeToString())


def test_the_card_says_what_was_not_measured_and_refuses_another_model(shipped: tuple[Manifest, bytes], tmp_path: Path):
    manifest, data = shipped
    with pytest.raises(ConfigurationError, match=r"mail\.json is not there"):
        measured(tmp_path, manifest)
    report = {"generation": 1, "seed": 5, **mail_report(mail_of(manifest), manifest, floor=0.0)}
    (tmp_path / "mail.json").write_text(json.dumps(report), encoding="utf-8")
    text = card(manifest, data, measured(tmp_path, manifest))
    assert "| pairs: AUROC | ≥ 0.86 | – | not measured |" in text
    assert "| mail, parcels: found at 5 % | ≥ 0.85 | 0.500 [" in text
    assert manifest.model_sha256 in text
    assert "envelope 600, packet 600, parcel 1200, unknown 2400" in text
    by_sorts = {**report, "by_kind": {"small_parcel": report["by_kind"]["parcel"]}}
    (tmp_path / "mail.json").write_text(json.dumps(by_sorts), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="tells small_parcel apart, which no announcement names"):
        measured(tmp_path, manifest)
    (tmp_path / "mail.json").write_text(json.dumps(report), encoding="utf-8")
    (tmp_path / "coverage.json").write_text(json.dumps({"model": {"sha256": "0" * 64}}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="measured with model 000000000000"):
        measured(tmp_path, manifest)
    (tmp_path / "coverage.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        measured(tmp_path, manifest)
