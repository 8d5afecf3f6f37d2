"""Which palette a picture was painted with, told from the picture alone; what cannot be told is refused, never guessed.

Three questions, each with its own evidence. Where is the belt: a colourless tone that is common, lies along the frame and is the picture's
end of light or of dark. Is there colour at all: how strong it is where things are thick enough to show it. Do the hues mean what they
should: organic things are orange, mixed ones green, metal blue; a picture without its negative's magenta, with orange among what is thin
and blue among what is dense, is painted that way. The weakest answer is the confidence.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.image import box_mean, hue_and_saturation

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Turn = Literal["no", "negative", "lightness"]

LUMA_BGR = np.asarray((0.114, 0.587, 0.299), np.float32)
LOOKED_AT = 60_000
"""Pixels that are looked at; more say no more."""
BELT_SPREAD = 6.0
"""Grey levels around the belt's tone that still are belt (noise, compression)."""
DARKEST_BRIGHT_BELT, BRIGHTEST_DARK_BELT = 140, 115
FRAME_SHARE = 0.03
FEWEST = 20
"""Pixels below which nothing is said about them."""
COLOURLESS, COLOURED = 5.0, 25.0
"""Difference of the greatest and the smallest channel, in grey levels: below the first no colour, from the second on surely one."""
MOST_TINT = 12.0
"""The same difference up to which a belt may be tinted."""
LEAST_CONFIDENCE = 0.5


class PaletteUnknownError(ScreeningError):
    """Which palette a picture was painted with cannot be told from it."""

    code = "palette-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """One way in which consoles paint.

    Attributes:
        name: as on the command line.
        turn: what brings it to a bright belt with orange, green and blue: nothing, the negative, or light and dark exchanged under the
            same hue.
        coloured: whether hue says anything about the material.
        deep_blue: saturated blue is the densest of all, whatever it is made of; elsewhere that is black.
        says: for people.
    """

    name: str
    turn: Turn = "no"
    coloured: bool = True
    deep_blue: bool = False
    says: str


PALETTES = {
    one.name: one
    for one in (
        Palette(name="dense-black", says="bright belt; orange, green, blue; dense things black"),
        Palette(name="dense-blue", deep_blue=True, says="bright belt; orange, green, blue; dense things saturated blue"),
        Palette(name="dark-belt", turn="lightness", says="dark belt; orange, green, blue; dense things bright"),
        Palette(name="negative", turn="negative", says="dark belt; the photographic negative of orange, green, blue"),
        Palette(name="grey", coloured=False, says="bright belt; no colours"),
        Palette(name="grey-negative", turn="negative", coloured=False, says="dark belt; no colours"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The palette, how sure that is (0…1), and the evidence in words."""

    palette: Palette
    confidence: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Belt:
    tone: float
    strength: float
    share: float


def turned(bgr: ByteArray, turn: Turn) -> ByteArray:
    """The picture (rows, columns, 3) with a bright belt and orange for organic."""
    if turn == "no":
        return bgr
    if turn == "negative":
        return np.asarray(255 - bgr, np.uint8)
    wide = bgr.astype(np.int16)
    result: ByteArray = (wide + (255 - wide.max(axis=-1) - wide.min(axis=-1))[..., None]).astype(np.uint8)
    return result


def tell_palette(bgr: ByteArray) -> Told:
    """The palette of a picture (rows, columns, 3).

    Raises:
        PaletteUnknownError: the evidence is too weak or speaks against itself.
    """
    if bgr.ndim != 3 or bgr.shape[2] != 3 or min(bgr.shape[:2], default=0) < 1:  # noqa: PLR2004 - three channels
        raise _unknown("it has no three channels of colour")
    pixels, frame = _looked_at(bgr)
    bright, dark = _belt(pixels, frame, bright=True), _belt(pixels, frame, bright=False)
    strongest, other = max(bright.strength, dark.strength), min(bright.strength, dark.strength)
    if strongest < 0.15:  # noqa: PLR2004 - less than that any picture has
        raise _unknown("no colourless tone is common and the brightest or the darkest of all, so there is no belt to be seen")
    direction = float(np.clip(strongest / 0.4, 0, 1) * (strongest - other) / strongest)
    belt = bright if bright.strength >= dark.strength else dark
    words = [f"belt at grey {belt.tone:.0f} ({belt.share:.0%} of the picture)"]
    if direction < LEAST_CONFIDENCE:
        raise _unknown(f"a bright belt (grey {bright.tone:.0f}) and a dark one (grey {dark.tone:.0f}) are about as likely")
    things = pixels[np.abs(pixels @ LUMA_BGR - belt.tone) > 2 * BELT_SPREAD]
    light = things @ LUMA_BGR
    depth = -np.log(np.clip(light / belt.tone if belt is bright else (255 - light) / (255 - belt.tone), 1e-3, 1))
    showing = things[(depth > 0.2) & (depth < 2.0)]  # noqa: PLR2004 - thinner, tones are faint; denser, they are black
    dense_edges = int(np.count_nonzero(depth >= 2.0)) // 4  # noqa: PLR2004 - the edges of what is black show no colour of their own
    if len(showing) < max(FEWEST, len(pixels) // 2000, dense_edges):
        faint = int(np.count_nonzero(belt.tone - pixels @ LUMA_BGR > 0.7 * BELT_SPREAD))
        if belt is bright and faint >= max(FEWEST, len(pixels) // 1000):
            words.append("too little of the thickness that shows colours; without them every palette with a bright belt reads alike")
            # a block of saturated blue alone still says which end of the scale it is
            name = _bright_palette(things)[0] if len(things) >= FEWEST else "dense-black"
            return Told(palette=PALETTES[name], confidence=direction, evidence=tuple(words))
        raise _unknown("hardly anything in it is of the thickness that shows whether there are colours")
    strong = float(np.percentile(showing.max(axis=1) - showing.min(axis=1), 90))
    coloured = float(np.clip((strong - COLOURLESS) / (COLOURED - COLOURLESS), 0, 1))
    if abs(coloured - 0.5) * 2 < LEAST_CONFIDENCE:
        raise _unknown("its colours are too faint to be a palette's and too strong to be grey")
    if coloured < 0.5:  # noqa: PLR2004 - the middle
        name = "grey" if belt is bright else "grey-negative"
        return Told(palette=PALETTES[name], confidence=min(direction, 1 - coloured), evidence=(*words, "no colours"))
    name, meaning, why = _bright_palette(things) if belt is bright else _dark_palette(things)
    confidence = min(direction, coloured, meaning)
    if confidence < LEAST_CONFIDENCE:
        raise _unknown(why)
    return Told(palette=PALETTES[name], confidence=confidence, evidence=(*words, why))


def _unknown(why: str) -> PaletteUnknownError:
    return PaletteUnknownError(
        f"picture: its palette cannot be told: {why}",
        consequence="it is not scored, because light and dark or the materials could be mistaken for each other",
        remedy=f"name it with --palette ({', '.join(PALETTES)}), if a console painted it",
    )


def _looked_at(bgr: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Pixels (n, 3) spread over the picture, and those along its frame."""
    rows, columns = bgr.shape[:2]
    step = max(1, int(np.sqrt(rows * columns / LOOKED_AT)))
    soft = box_mean(bgr.astype(np.float32), 3) if step == 1 else bgr
    thin = np.ascontiguousarray(soft[::step, ::step]).astype(np.float32)
    edge = max(1, round(FRAME_SHARE * min(thin.shape[:2])))
    sides = (thin[:edge], thin[-edge:], thin[:, :edge], thin[:, -edge:])
    return thin.reshape(-1, 3), np.concatenate([side.reshape(-1, 3) for side in sides])


def _belt(pixels: FloatArray, frame: FloatArray, *, bright: bool) -> _Belt:
    """The commonest colourless tone of the bright or of the dark half, and how much it looks like a belt (0…1)."""
    luma = pixels @ LUMA_BGR
    chroma = pixels.max(axis=1) - pixels.min(axis=1)
    half = luma >= DARKEST_BRIGHT_BELT if bright else luma <= BRIGHTEST_DARK_BELT
    plain = luma[half & (chroma <= np.maximum(MOST_TINT, 0.1 * luma))]
    if plain.size == 0:
        return _Belt(tone=255.0 if bright else 0.0, strength=0.0, share=0.0)
    counts = np.bincount(np.clip(plain + 0.5, 0, 255).astype(np.int32), minlength=256).astype(np.float64)
    tone = float(np.argmax(np.convolve(counts, np.ones(3), mode="same")))
    share = float(np.mean(np.abs(plain - tone) <= BELT_SPREAD)) * plain.size / luma.size
    along = float(np.mean(np.abs(frame @ LUMA_BGR - tone) <= BELT_SPREAD))
    beyond = float(np.mean((luma - tone if bright else tone - luma) > 3 * BELT_SPREAD))
    strength = (0.5 * min(1.0, share / 0.15) + 0.5 * min(1.0, along / 0.3)) * max(0.0, 1 - beyond / 0.1)
    return _Belt(tone=tone, strength=strength, share=share)


def _shares(things: FloatArray) -> tuple[float, float, float, float]:
    """Of what has colour and light: the shares of orange, green, blue, and of magenta, which no palette of this kind has."""
    light = (things @ LUMA_BGR >= 30) & (things.max(axis=1) - things.min(axis=1) >= COLOURED)  # noqa: PLR2004 - darker, hue is noise
    if not light.any():
        return 0.0, 0.0, 0.0, 0.0
    hue, _ = hue_and_saturation(np.ascontiguousarray(things[light][None]).astype(np.uint8))
    return (
        float(np.mean((hue < 75) | (hue >= 345))),  # noqa: PLR2004 - arcs of the hue circle
        float(np.mean((hue >= 75) & (hue < 170))),  # noqa: PLR2004
        float(np.mean((hue >= 170) & (hue < 265))),  # noqa: PLR2004
        float(np.mean((hue >= 265) & (hue < 345))),  # noqa: PLR2004
    )


def _order(things: FloatArray) -> float:
    """How well blue goes with dense and orange with thin, −1…1; little where one of them is missing.

    Half of it is how much denser blue things are than orange ones, half how much more orange than blue there is among thin things:
    paper, cloth and plastic are the thinnest of every piece.
    """
    depth = -np.log(np.maximum(things @ LUMA_BGR, 2.0) / 255.0)
    seen = things.max(axis=1) - things.min(axis=1) >= MOST_TINT
    hue, _ = hue_and_saturation(np.ascontiguousarray(things[None]).astype(np.uint8))
    cold, warm = seen & (hue[0] >= 185) & (hue[0] < 265), seen & (hue[0] >= 12) & (hue[0] < 65)  # noqa: PLR2004 - arcs of the hue circle
    thin = depth < np.percentile(depth, 40)
    balance = 0.0
    if int((thin & (warm | cold)).sum()) >= FEWEST:
        balance = (int((thin & warm).sum()) - int((thin & cold).sum())) / int((thin & (warm | cold)).sum())
    if min(int(cold.sum()), int(warm.sum())) < max(FEWEST, len(things) // 200):
        return 0.25 * balance
    return 0.5 * (balance + float(np.clip(2 * (depth[cold].mean() - depth[warm].mean()), -1, 1)))


def _bright_palette(things: FloatArray) -> tuple[str, float, str]:
    """Name, confidence and evidence of a coloured palette with a bright belt."""
    orange, green, blue, magenta = _shares(things)
    order = _order(things)
    words = f"hues: orange {orange:.0%}, green {green:.0%}, blue {blue:.0%}, magenta {magenta:.0%}"
    if order < -0.6:  # noqa: PLR2004 - clearly the wrong way round
        return "dense-black", 0.0, f"blue things are thin and orange ones dense, as if red and blue were exchanged ({words})"
    dense = things[things @ LUMA_BGR < 45]  # noqa: PLR2004 - pure blue and darker
    deep = int(np.count_nonzero(dense[:, 0] - np.maximum(dense[:, 1], dense[:, 2]) > 110))  # noqa: PLR2004 - saturated
    black = int(np.count_nonzero(dense.max(axis=1) < 25)) if len(dense) else 0  # noqa: PLR2004 - no colour is that dark
    # a few blue fringes are about black things too, and some consoles paint metal in nearly pure blue before it gets black
    name = "dense-blue" if deep >= max(FEWEST, len(things) // 500, 0.08 * len(dense), 0.5 * black) else "dense-black"
    return name, float(np.clip(1 - magenta / 0.3, 0, 1)), words


def _dark_palette(things: FloatArray) -> tuple[str, float, str]:
    """Name, confidence and evidence of a coloured palette with a dark belt."""
    byte = np.clip(things, 0, 255).astype(np.uint8)
    points = {}
    for name in ("dark-belt", "negative"):
        back = turned(byte[None], PALETTES[name].turn)[0].astype(np.float32)
        *_, magenta = _shares(back)
        points[name] = max(0.0, 1 - magenta / 0.1) * (0.5 + 0.5 * _order(back))
    name = max(points, key=lambda one: points[one])
    best, other = points[name], min(points.values())
    words = f"hues as a palette with a dark belt: {points['dark-belt']:.2f}, as a negative: {points['negative']:.2f}"
    return name, 0.0 if best == 0 else (best - other) / best * min(1.0, best / 0.5), words
