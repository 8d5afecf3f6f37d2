"""Two energies painted in made-up vendors' colours, to measure and test the way back. No vendor's table is copied.

A colour is made of light and tone. Light falls with the mean attenuation a of the two energies as `exp(−gain · a^power)`, never below
`floor`; the tone's hue goes by the material index (0 organic … 1 steel) through `hues_deg`, its strength grows from nothing at a = 0 to
full at `full_tone_at`. What is dark stays as dark in every hue, as far as that hue can be bright. `deep_blue` palettes paint what is
dense in saturated blue instead of black. `turned` says what the console does at the end: nothing, the negative, or light and dark
exchanged under the same hue.
"""

import colorsys
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from station.screening.features import attenuation, material_index
from station.screening.image import box_mean

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Rng = np.random.Generator
Turned = Literal["no", "negative", "lightness"]

LUMA_BGR = np.asarray((0.114, 0.587, 0.299), np.float32)
SHADES, TONES = 256, 64
MOST_SHOWN = 6.0
MATERIALS = (0.0, 0.1, 0.35, 0.55, 0.85)
DEEP_BLUE = np.asarray((0.9, 0.0, 0.0), np.float32)
DEEP_FROM, DEEP_FULL = 1.6, 3.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One made-up console; `name` is the station's name of such a palette, `hues_deg` belong to `MATERIALS`."""

    name: str
    hues_deg: tuple[float, float, float, float, float] = (28.0, 32.0, 105.0, 150.0, 222.0)
    strength: float = 0.9
    gain: float = 0.95
    power: float = 0.95
    floor: float = 0.015
    full_tone_at: float = 0.15
    coloured: bool = True
    deep_blue: bool = False
    turned: Turned = "no"


VENDORS = (
    Vendor(name="dense-black"),
    Vendor(name="dense-blue", hues_deg=(36.0, 40.0, 100.0, 140.0, 200.0), deep_blue=True),
    Vendor(name="dark-belt", turned="lightness"),
    Vendor(name="negative", turned="negative"),
    Vendor(name="grey", coloured=False),
    Vendor(name="grey-negative", coloured=False, turned="negative"),
)


def varied(vendor: Vendor, rng: Rng) -> Vendor:
    """Another console of the same kind: hues some degrees off, curves steeper or flatter, colours paler or fuller."""
    off = rng.uniform(-9, 9, len(MATERIALS))
    first, second, third, fourth, fifth = (hue + float(step) for hue, step in zip(vendor.hues_deg, off, strict=True))
    return replace(
        vendor,
        hues_deg=(first, second, third, fourth, fifth),
        strength=float(rng.uniform(0.7, 1.0)),
        gain=float(np.exp(rng.uniform(np.log(0.6), np.log(1.4)))),
        power=float(rng.uniform(0.8, 1.1)),
        floor=float(np.exp(rng.uniform(np.log(0.008), np.log(0.05)))),
        full_tone_at=float(rng.uniform(0.05, 0.25)),
    )


def paint(
    t: FloatArray, vendor: Vendor, *, belt: float = 1.0, sharpened: float = 0.0, noise: float = 0.0, rng: Rng | None = None
) -> ByteArray:
    """BGR (rows, columns, 3) of LE and HE transmission (2, rows, columns).

    `belt` is the belt's grey (0…1), `sharpened` how much of the difference to a blur of 1.2 pixels is added, `noise` the standard
    deviation in grey levels (drawn from `rng`).
    """
    a_le, a_he = attenuation(t[0]), attenuation(t[1])
    material = np.clip(material_index(box_mean(a_le, 3), box_mean(a_he, 3)), 0, 1)
    return paint_channels(0.5 * (a_le + a_he), material, vendor, belt=belt, sharpened=sharpened, noise=noise, rng=rng)


def paint_channels(
    mean: FloatArray,
    material: FloatArray,
    vendor: Vendor,
    *,
    belt: float = 1.0,
    sharpened: float = 0.0,
    noise: float = 0.0,
    rng: Rng | None = None,
) -> ByteArray:
    """BGR as `paint`, of mean attenuation and material index (rows, columns)."""
    table = _table(vendor).reshape(-1, 3)
    shade = np.clip(mean * np.float32((SHADES - 1) / MOST_SHOWN) + 0.5, 0, SHADES - 1).astype(np.int32)
    tone = np.clip(material * np.float32(TONES - 1) + 0.5, 0, TONES - 1).astype(np.int32)
    colours = table[shade * TONES + tone] * np.float32(255 * belt)
    if sharpened:
        colours = colours + np.float32(sharpened) * (colours - cv2.GaussianBlur(colours, (0, 0), 1.2))
    if noise and rng is not None:
        colours = colours + rng.normal(0, noise, colours.shape[:2]).astype(np.float32)[..., None]
    bgr: ByteArray = np.clip(colours + 0.5, 0, 255).astype(np.uint8)
    return _turned(bgr, vendor.turned)


def through_jpeg(bgr: ByteArray, quality: int) -> ByteArray:
    """Compressed and decoded again."""
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the picture cannot be compressed")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _table(vendor: Vendor) -> FloatArray:
    """Colours (SHADES, TONES, 3) BGR 0…1 on a white belt."""
    shown = np.linspace(0, MOST_SHOWN, SHADES, dtype=np.float32)
    light = np.maximum(np.exp(-vendor.gain * shown**vendor.power), vendor.floor)[:, None, None]
    if not vendor.coloured:
        return np.broadcast_to(light, (SHADES, TONES, 3)).astype(np.float32)
    grown = (vendor.strength * np.clip(shown / vendor.full_tone_at, 0, 1))[:, None, None]
    deep = np.clip((shown - DEEP_FROM) / (DEEP_FULL - DEEP_FROM), 0, 1)[:, None, None] * float(vendor.deep_blue)
    hues_deg = np.interp(np.linspace(0, 1, TONES), MATERIALS, vendor.hues_deg)
    pure = np.asarray([colorsys.hsv_to_rgb(hue / 360 % 1, 1.0, 1.0)[::-1] for hue in hues_deg.tolist()], np.float32)
    luma = (pure @ LUMA_BGR)[:, None]
    full = np.where(light < luma, pure * (light / luma), pure + (1 - pure) * (light - luma) / (1 - luma))
    colours = full * grown + light * (1 - grown)
    return (colours * (1 - deep) + DEEP_BLUE * deep).astype(np.float32)


def _turned(bgr: ByteArray, turned: Turned) -> ByteArray:
    if turned == "no":
        return bgr
    if turned == "negative":
        return np.asarray(255 - bgr, np.uint8)
    wide = bgr.astype(np.int16)
    swapped: ByteArray = (wide + (255 - wide.max(axis=2) - wide.min(axis=2))[..., None]).astype(np.uint8)
    return swapped
