"""What a check of the audit log can find. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One way in which a log does not hold."""

    FACT_CHANGED = "fact-changed"
    FACT_MISSING = "fact-missing"
    FACT_MISPLACED = "fact-misplaced"
    LEAF_MISSING = "leaf-missing"
    BEYOND_THE_END = "beyond-the-end"
    OUT_OF_ORDER = "out-of-order"
    ROOT_DIFFERS = "root-differs"
    HEAD_DAMAGED = "head-damaged"
    UNSIGNED = "unsigned"
    CHECKPOINT_INVALID = "checkpoint-invalid"
    CHECKPOINT_DIFFERS = "checkpoint-differs"
    CUT_OFF = "cut-off"
    SAVED_DIFFERS = "saved-differs"
    SAVED_INVALID = "saved-invalid"
    FILE_DAMAGED = "file-damaged"


RANGES = frozenset({Fault.ROOT_DIFFERS, Fault.CHECKPOINT_DIFFERS, Fault.SAVED_DIFFERS, Fault.UNSIGNED})
"""Faults of which only a range is known: one of its leaves or more is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault, the first leaf that it touches (None: no leaf in particular), how many it touches, and figures without language.

    Of a fault in `RANGES`, `leaf` is the first of the range and `count` its length.
    """

    fault: Fault
    leaf: int | None
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found. `signed` leaves are covered by a checkpoint that holds, `witnessed` by one that a witness signed too.

    `root` is that of the leaves as they are; None when leaves are missing.
    """

    size: int
    root: bytes | None
    findings: tuple[Finding, ...]
    checkpoints: int
    signed: int
    witnessed: int

    @property
    def holds(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    @property
    def first_wrong_leaf(self) -> int | None:
        """The first leaf that is known to be wrong, else the first of which it may be; None when that is known of none."""
        sure = [one.leaf for one in self.findings if one.leaf is not None and one.fault not in RANGES]
        return min(sure or [one.leaf for one in self.findings if one.leaf is not None], default=None)
