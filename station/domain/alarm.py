"""Alarms after ISA-18.2: active until the cause is gone, unacknowledged until a person has seen it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmPriority(StrEnum):
    """How soon a person must act."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    def outranks(self, other: "AlarmPriority") -> bool:
        """True when a person must act sooner than by the other."""
        order = list(AlarmPriority)
        return order.index(self) < order.index(other)


class AlarmCode(StrEnum):
    """Stable codes; each has a text and a remedy in both languages under `alarm-<code>` and `alarm-<code>-remedy`."""

    DEVICE_LOST = "device-lost"
    PLC_FAULT = "plc-fault"
    GENERATOR_FAULT = "generator-fault"
    UNIT_FAULT = "unit-fault"
    LANE_DEFECT = "lane-defect"
    ZONE_ACCESSED = "zone-accessed"
    TRACK_LOST = "track-lost"
    PIECE_AT_GATE = "piece-at-gate"
    ATTENTION = "attention"
    FROZEN = "frozen"
    FREEZE_BYPASSED = "freeze-bypassed"
    ESCAPED = "escaped"
    TEST_PIECE_MISSING = "test-piece-missing"
    TEST_PIECE_FAILED = "test-piece-failed"
    TEST_PIECE_DRIFTS = "test-piece-drifts"
    DOSE_SHORT = "dose-short"
    LAMP = "lamp"
    CALIBRATION = "calibration"
    MODEL_FAILED = "model-failed"
    AUDIT_BROKEN = "audit-broken"
    AUDIT_STALLED = "audit-stalled"
    WITNESS_REFUSED = "witness-refused"
    WITNESS_SILENT = "witness-silent"
    STORE_RESTORED = "store-restored"
    STORE_FAILING = "store-failing"
    DISK_LOW = "disk-low"
    IMAGES_OVERDUE = "images-overdue"
    TRACKING_BLOCKED = "tracking-blocked"
    TRACKING_BACKLOG = "tracking-backlog"
    TRACKING_DIFFERS = "tracking-differs"
    TRACKING_UNCOMPARED = "tracking-uncompared"
    MODEL_DRIFT = "model-drift"
    UNPROVED_MODEL = "unproved-model"
    MODEL_UNUSABLE = "model-unusable"
    RADIATION = "radiation"
    BIN_FULL = "bin-full"
    EXERCISE_UNCONFIRMED = "exercise-unconfirmed"


SETTLED_BY_PEOPLE = frozenset({AlarmCode.ESCAPED})
"""Alarms whose end no device sees: they stand, seen or not, until what they are about is here again, or a person has accounted for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. `subject` tells what it is about (lane, device or piece); `detail` is language-free figures.

    `alarm_id` is None of an alarm that is not stored (yet).
    """

    alarm_id: int | None
    code: AlarmCode
    priority: AlarmPriority
    subject: str
    detail: str
    raised_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    cleared_at: datetime | None = None
