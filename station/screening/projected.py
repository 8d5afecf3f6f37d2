"""A threat drawn into a scan and the image read like any other: what the screening process does for an exercise."""

import numpy as np

from station.ports.screening import ProjectedReading, RawScan
from station.screening.pipeline import Reader
from station.screening.projection import choose, project, shipped_library


def read_projected(reader: Reader, scan: RawScan, *, tube_kv: float, seed: int) -> ProjectedReading | None:
    """Draw thing, place and noise by `seed`, project, and read; None when nothing of the library fits into the piece.

    Raises:
        ScreeningError: the scan cannot be corrected or does not show its own noise, or the model failed.
    """
    rng = np.random.default_rng(seed)
    library = shipped_library()
    chosen = choose(scan, library, rng)
    if chosen is None:
        return None
    made = project(scan, chosen.thing, chosen.pose, library, tube_kv=tube_kv, rng=rng)
    return ProjectedReading(threat=made.threat, result=reader.read(made.scan))
