"""Lists of labelled pictures: the manifest of `station model evaluate`, and the list of pairs with and without a projected threat."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from station.domain.errors import ConfigurationError

Box = tuple[float, float, float, float]
MANIFEST_COLUMNS = ("file", "is_threat", "boxes_xywh", "scanner_group")
PAIR_COLUMNS = ("file", "benign_file", "label", "scanner_group")
YES, NO = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """One picture; `boxes` (x, y, width, height) in pixels of the stored file. Pictures of one `scene` show the same things."""

    name: str
    path: Path
    is_threat: bool
    boxes: tuple[Box, ...]
    group: str
    label: str
    scene: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Pictures by name, and how many rows of the list named a file that is not there."""

    pictures: tuple[LabelledPicture, ...]
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same picture with and without a projected threat."""

    threat: LabelledPicture
    benign: LabelledPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """All pairs, and how many rows of the list named a file that is not there."""

    pairs: tuple[Pair, ...]
    missing: int


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line numbers and rows of a CSV that has the columns."""
    wanted = "Give a CSV in UTF-8 with the columns " + ", ".join(columns)
    consequence = "nothing was measured"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if lacking := [column for column in columns if column not in (reader.fieldnames or ())]:
                raise ConfigurationError(f"{path} lacks the columns {', '.join(lacking)}", consequence=consequence, remedy=wanted)
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigurationError(
                        f"{path}, line {reader.line_num}: it has not as many fields as there are columns",
                        consequence=consequence,
                        remedy="Correct the line; put a field with commas in quotes",
                    )
                yield reader.line_num, row
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})", consequence=consequence, remedy=wanted) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: is no CSV in UTF-8 ({error})", consequence=consequence, remedy=wanted) from error


def _wrong(path: Path, line: int, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{path}, line {line}: {what}", consequence="nothing was measured", remedy=remedy)


def _boxes(text: str) -> tuple[Box, ...]:
    boxes = []
    for raw in json.loads(text or "[]"):
        x, y, width, height = (float(one) for one in raw[-4:])
        boxes.append((x, y, width, height))
    return tuple(boxes)


def _found(name: str, images: Path, beside: Path) -> Path | None:
    """`name` is looked for in `images`, by its last part in `images`, and beside the list."""
    places = (images / name, images / Path(name).name, beside / name)
    return next((place for place in places if place.is_file()), None)


def read_labels(manifest: Path, images: Path) -> Labels:
    """The manifest's pictures that are there, by name; `label` and `scene_id` are optional, else each picture is a scene of its own.

    Raises:
        ConfigurationError: the manifest cannot be read, lacks a column, says nonsense, or names no picture that is there.
    """
    pictures, missing = [], 0
    for line, row in _rows(manifest, MANIFEST_COLUMNS):
        name = row["file"]
        path = _found(name, images, manifest.parent)
        if path is None:
            missing += 1
            continue
        try:
            boxes = _boxes(row["boxes_xywh"])
        except (ValueError, TypeError, KeyError) as error:
            remedy = 'Write [] or a list like [["gun", 90, 150, 60, 50]]'
            raise _wrong(manifest, line, "boxes_xywh is no list of boxes", remedy) from error
        said = row["is_threat"].strip().lower()
        if said not in YES | NO:
            raise _wrong(manifest, line, f"is_threat is {row['is_threat']!r}", "Write 1 or 0")
        threat = said in YES
        pictures.append(
            LabelledPicture(
                name=name,
                path=path,
                is_threat=threat,
                boxes=boxes,
                group=row["scanner_group"],
                label=row.get("label") or ("threat" if threat else "benign"),
                scene=row.get("scene_id") or name,
            )
        )
    if not pictures:
        raise ConfigurationError(
            f"{manifest} names no picture in {images}",
            consequence="nothing was measured",
            remedy="Check --images; `file` is relative to it",
        )
    return Labels(pictures=tuple(sorted(pictures, key=lambda one: one.name)), missing=missing)


def read_pairs(path: Path, images: Path) -> Pairs:
    """Pairs of which both pictures are there; `x`, `y`, `w`, `h` of the threat, `scene_id` and `source` are optional.

    A scene is `scene_id`, else the picture that both were made from (`source`), else the benign file.

    Raises:
        ConfigurationError: the list cannot be read, lacks a column, says nonsense, or names no pair that is there.
    """
    pairs, missing = [], 0
    for line, row in _rows(path, PAIR_COLUMNS):
        with_threat, without = (_found(row[column], images, path.parent) for column in ("file", "benign_file"))
        if with_threat is None or without is None:
            missing += 1
            continue
        try:
            box: tuple[Box, ...] = ((float(row["x"]), float(row["y"]), float(row["w"]), float(row["h"])),) if "x" in row else ()
        except (ValueError, KeyError) as error:
            raise _wrong(path, line, "x, y, w and h are no box", "Write four numbers, or leave the four columns out") from error
        scene = row.get("scene_id") or row.get("source") or row["benign_file"]
        sides = (
            LabelledPicture(
                name=row[column],
                path=found,
                is_threat=threat,
                boxes=box if threat else (),
                group=row["scanner_group"],
                label=row["label"] if threat else "benign",
                scene=scene,
            )
            for column, found, threat in (("file", with_threat, True), ("benign_file", without, False))
        )
        pairs.append(Pair(threat=next(sides), benign=next(sides)))
    if not pairs:
        raise ConfigurationError(
            f"{path} names no pair whose pictures are in {images}",
            consequence="nothing was measured",
            remedy="Check --images; `file` and `benign_file` are relative to it",
        )
    return Pairs(pairs=tuple(pairs), missing=missing)
