"""A projected image looks like any other: while it is shown it stands in the true one's place wherever the interface tells of the scan."""

from collections.abc import Iterable
from dataclasses import replace

from station.domain.scan import ModelReading, Scan
from station.ports.store import Evidence, EvidenceRow
from station.workflow.views import ProjectedImage


def disguised(rows: Iterable[EvidenceRow], image: ProjectedImage) -> list[EvidenceRow]:
    """A piece's evidence with the projected image for the true one."""
    return [replace(row, evidence=_one(row.evidence, image)) for row in rows]


def _one(fact: Evidence, image: ProjectedImage) -> Evidence:
    shown = image.reading.projected_sha256 or ""
    if isinstance(fact, Scan) and fact.sha256 == image.scan_sha256:
        return replace(fact, sha256=shown)
    if isinstance(fact, ModelReading) and fact.scan_sha256 == image.scan_sha256:
        return replace(image.reading, at=fact.at, scan_sha256=shown, projected_sha256=None)
    return fact
