"""The one home of OpenCV: resampling, filters, components, PNG, and the colours that people see.

PNG is decoded only when its SHA-256 is the expected one (hash before decode): a decoder never meets bytes that the station
did not write itself.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
MaskArray = npt.NDArray[np.bool_]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COMPRESSION = 1


def one_thread() -> None:
    """Keep OpenCV on the calling thread: the same result each time, and no fight over two cores."""
    cv2.setNumThreads(1)


def resample(image: FloatArray, *, height: int, width: int) -> FloatArray:
    """Area mean where an axis shrinks, linear interpolation where it grows; (height, width) float32."""
    rows, columns = image.shape[:2]
    small = (min(height, rows), min(width, columns))
    if small != (rows, columns):
        image = cast("FloatArray", cv2.resize(image, (small[1], small[0]), interpolation=cv2.INTER_AREA))
    if (height, width) != small:
        image = cast("FloatArray", cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    return image


def resample_bytes(image: ByteArray, *, height: int, width: int) -> ByteArray:
    """Linear interpolation of a (h, w) u8 image."""
    return cast("ByteArray", cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def box_mean(image: FloatArray, size: int) -> FloatArray:
    """Mean over size × size, the border repeated."""
    return cast("FloatArray", cv2.blur(image, (size, size), borderType=cv2.BORDER_REPLICATE))


def gaussian(image: FloatArray, sigma: float) -> FloatArray:
    """Gaussian smoothing, the border repeated."""
    return cast("FloatArray", cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def local_extremes(image: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Smallest and greatest value within size × size of each pixel."""
    kernel = np.ones((size, size), np.uint8)
    return cast("FloatArray", cv2.erode(image, kernel)), cast("FloatArray", cv2.dilate(image, kernel))


def dilated(mask: MaskArray, size: int) -> MaskArray:
    """The mask grown by a square of size × size."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8))
    result: MaskArray = grown > 0
    return result


def components(mask: MaskArray) -> tuple[npt.NDArray[np.int32], list[tuple[int, int, int, int, int]]]:
    """Eight-connected components: label image (0 is background) and per label, from 1, (x, y, width, height, area)."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes = [(int(s[0]), int(s[1]), int(s[2]), int(s[3]), int(s[4])) for s in stats[1:]]
    return cast("npt.NDArray[np.int32]", labels), boxes


def moved(image: FloatArray, *, angle_deg: float, dx: float, dy: float, fill: float = 0.0) -> FloatArray:
    """Turned about its centre and shifted (pixels; x right, y down); what comes in from outside is `fill`."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    matrix[0, 2] += dx
    matrix[1, 2] += dy
    turned = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(fill,))
    return cast("FloatArray", turned)


def encode_png(image: ByteArray) -> bytes:
    """PNG of a grey (h, w) or BGR (h, w, 3) image.

    Raises:
        ScreeningError: the encoder refuses.
    """
    # a few flat colours with noise: rows as they are pack better, and in half the time, than rows as differences
    how = [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    done, data = cv2.imencode(".png", image, how)
    if not done:
        raise ScreeningError("screening: the view could not be encoded", consequence="the piece is held", remedy="feed it again")
    return data.tobytes()


def read_picture(path: Path) -> ByteArray:
    """BGR (h, w, 3) of a JPEG or PNG file; for the offline tools alone, never for what arrives at run time.

    Raises:
        ScreeningError: the file cannot be read or decoded.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ScreeningError(f"picture {path.name}: {error.strerror}", consequence="it is not scored", remedy="check the path") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        # it claims more pixels than the library lets anybody have
        image = None
    if image is None:
        raise ScreeningError(f"picture {path.name}: cannot be decoded", consequence="it is not scored", remedy="remove it")
    return cast("ByteArray", image)


def hue_and_saturation(bgr: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Hue in degrees [0, 360) and saturation in [0, 1]."""
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    return hsv[..., 0].astype(np.float32) * 2.0, hsv[..., 1].astype(np.float32) / 255.0


def coloured(shade: FloatArray, material: FloatArray, palette: Sequence[tuple[float, tuple[int, int, int]]]) -> ByteArray:
    """BGR (h, w, 3): white where `shade` (0…1, share of light) is 1, darker to the material's hue below.

    `palette` holds (material index, RGB) in rising order; colours between are mixed.
    """
    table = _tones(tuple(palette))
    span = palette[-1][0] - palette[0][0]
    row = np.clip((material - palette[0][0]) * (63.0 / span) + 0.5, 0, 63).astype(np.int32)
    column = np.clip(shade * 255.0 + 0.5, 0, 255).astype(np.int32)
    return cast("ByteArray", table.take(row * 256 + column, axis=0))


@cache
def _tones(palette: tuple[tuple[float, tuple[int, int, int]], ...]) -> ByteArray:
    """BGR of 64 materials × 256 shades, (16384, 3)."""
    levels = np.linspace(palette[0][0], palette[-1][0], 64, dtype=np.float32)
    knots = [knot for knot, _ in palette]
    tones = np.stack([np.interp(levels, knots, [rgb[channel] / 255.0 for _, rgb in palette]) for channel in (2, 1, 0)], axis=-1)
    light = np.linspace(0.0, 1.0, 256, dtype=np.float32)[None, :, None]
    # full tone at half light; above it fades to white, below it to black
    tone = tones[:, None, :]
    table = np.where(light >= 0.5, tone + (1 - tone) * (2 * light - 1), tone * (2 * light))  # noqa: PLR2004 - the middle
    result: ByteArray = np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8).reshape(-1, 3)
    return result


def heat_overlay(heat: ByteArray) -> ByteArray:
    """BGRA (h, w, 4): red to yellow, the more opaque the hotter; nothing where it is cold."""
    height, width = heat.shape
    result = np.zeros((height, width, 4), np.uint8)
    result[..., 1] = np.clip((heat.astype(np.int16) - 128) * 2, 0, 255).astype(np.uint8)
    result[..., 2] = 255
    result[..., 3] = np.where(heat < 64, 0, np.minimum(heat, 200)).astype(np.uint8)  # noqa: PLR2004 - a quarter of the range
    return result
