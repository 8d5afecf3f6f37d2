"""A real X-ray picture as a piece: what it shows lies in a cardboard box of its extent; colours become two energies (`picture_palette`)."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from firmware_sims.mail import Piece, s10
from firmware_sims.mail_layout import Rng, chance, pick
from firmware_sims.picture_palette import invert_palette
from firmware_sims.xray_physics import with_scatter

FloatArray = npt.NDArray[np.float32]

FIT_LENGTH_MM = 450.0
FIT_WIDTH_MM = 380.0
LEAST_LENGTH_MM = 100.0
MASS_ATTENUATION_CM2_G = 0.17
BOX_G_PER_CM2 = 0.1
"""Two walls of corrugated cardboard of 500 g/m²: pictures of baggage show several things, or hardly any, on a bare belt."""
BOX_TRANSMISSION: FloatArray = np.array([[[0.975]], [[0.983]]], dtype=np.float32)
"""Of both walls, LE and HE (cellulose, 0.25 and 0.17 cm²/g)."""
MAX_PIXELS = 40_000_000
GUESS_PIXELS = 128


@lru_cache(maxsize=4)
def _native(path: str) -> FloatArray:
    with Image.open(path) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"{path}: {picture.width} x {picture.height} pixels are too many")
        rgb = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    if rgb.shape[0] > rgb.shape[1]:
        rgb = np.rot90(rgb)
    # Lines run along the belt, which is the picture's longer side.
    return np.ascontiguousarray(invert_palette(rgb).transpose(0, 2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureBody:
    """See `xray_physics.Body`; the picture is decoded when the beam first needs it."""

    path: str
    length_mm: float
    width_mm: float

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> FloatArray:  # noqa: ARG002 - a picture has one kV
        """Resampled to the detector's raster; what is far below what the detector can show is left to it."""
        lines, pixels = math.ceil(self.length_mm / line_mm), math.ceil(self.width_mm / pixel_mm)
        native = _native(self.path)
        resized = [np.asarray(Image.fromarray(energy).resize((pixels, lines), Image.Resampling.BOX), dtype=np.float32) for energy in native]
        return with_scatter(np.stack(resized) * BOX_TRANSMISSION, line_mm=line_mm, pixel_mm=pixel_mm)

    def weight_g(self) -> float:
        """A guess from the attenuation of a small version, and the box: mass per area times area."""
        with Image.open(self.path) as picture:
            picture.draft("RGB", (GUESS_PIXELS, GUESS_PIXELS))
            picture.thumbnail((GUESS_PIXELS, GUESS_PIXELS))
            high = invert_palette(np.asarray(picture.convert("RGB"), dtype=np.uint8))[1]
        depth = float(-np.log(np.maximum(high, 1e-3)).mean())
        return (depth / MASS_ATTENUATION_CM2_G + BOX_G_PER_CM2) * self.length_mm * self.width_mm / 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """A picture file and whether it shows a threat; `name` is as the manifest writes it."""

    path: Path
    name: str
    is_threat: bool


def read_manifest(directory: Path) -> list[LabelledPicture]:
    """The labelled pictures that lie in `directory`, sorted by name.

    The labels come from `manifest.csv` there or one level up; columns `file` (relative to that csv) and `is_threat`.

    Raises:
        FileNotFoundError: no manifest, or it names no picture in `directory`.
    """
    directory = directory.resolve()
    for manifest in (directory / "manifest.csv", directory.parent / "manifest.csv"):
        if not manifest.is_file():
            continue
        with manifest.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        pictures = [
            LabelledPicture(
                path=(manifest.parent / row["file"]).resolve(),
                name=row["file"],
                is_threat=row["is_threat"].strip().lower() in {"1", "true", "yes"},
            )
            for row in rows
        ]
        found = [picture for picture in pictures if picture.path.is_relative_to(directory) and picture.path.is_file()]
        if found:
            return sorted(found, key=lambda picture: picture.name)
        raise FileNotFoundError(f"{manifest} names no picture that lies in {directory}")
    raise FileNotFoundError(f"no manifest.csv in {directory} or above it")


def picture_piece(rng: Rng, picture: LabelledPicture, *, serial: int, piece_id: str) -> Piece:
    """A piece that shows `picture`, scaled to fit the belt, its longer side along it.

    Raises:
        ValueError: the file is not a whole picture; names it.
    """
    try:
        return _piece(rng, picture, serial=serial, piece_id=piece_id)
    except OSError as error:
        raise ValueError(f"{picture.path} is not a whole picture: {error}") from error


def _piece(rng: Rng, picture: LabelledPicture, *, serial: int, piece_id: str) -> Piece:
    with Image.open(picture.path) as header:
        longer, shorter = max(header.size), min(header.size)
    scale = min(FIT_LENGTH_MM / longer, FIT_WIDTH_MM / shorter)
    body = PictureBody(
        path=str(picture.path),
        length_mm=round(max(longer * scale, LEAST_LENGTH_MM), 1),
        width_mm=round(shorter * scale, 1),
    )
    secrecy = pick(rng, ("C", "B", "A"), (0.6, 0.3, 0.1)) if chance(rng, 0.1) else None
    return Piece(
        serial=serial,
        piece_id=piece_id,
        barcode=piece_id,
        kind="small_parcel",
        truth="threat" if picture.is_threat else "benign",
        length_mm=body.length_mm,
        width_mm=body.width_mm,
        height_mm=150.0,
        weight_g=round(min(body.weight_g(), 20000.0), 1),
        body=body,
        threat_kind="pictured" if picture.is_threat else None,
        secrecy=secrecy,
        urgency=pick(rng, ("hoa_toc", "hen_gio")) if chance(rng, 0.12) else None,
        image_source=picture.name,
    )


def draw_pictures(
    rng: Rng, pictures: Sequence[LabelledPicture], count: int, *, first_serial: int = 1, threat_share: float = 0.2
) -> list[Piece]:
    """`count` pieces that show pictures, about `threat_share` of them with a threat as far as the pictures allow.

    Every picture is shown once before any is shown again.

    Raises:
        ValueError: no pictures, or one that is not whole.
    """
    if not pictures:
        raise ValueError("no pictures to draw from")
    heaps = {threat: [picture for picture in pictures if picture.is_threat is threat] for threat in (False, True)}
    wanted = round(count * threat_share)
    if not heaps[False] or not heaps[True]:
        wanted = count if heaps[True] else 0
    flags = [index < wanted for index in range(count)]
    order = rng.permutation(count)
    queues: dict[bool, list[int]] = {False: [], True: []}
    numbers = rng.choice(89_999_999, size=count, replace=False) + 10_000_000
    pieces = []
    for index in range(count):
        threat = flags[int(order[index])]
        if not queues[threat]:
            queues[threat] = [int(one) for one in rng.permutation(len(heaps[threat]))]
        picture = heaps[threat][queues[threat].pop()]
        pieces.append(picture_piece(rng, picture, serial=first_serial + index, piece_id=s10(int(numbers[index]))))
    return pieces
