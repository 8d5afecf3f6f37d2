"""Facts as JSON and back: explicit kinds, strict fields, integers and strings only, so that RFC 8785 leaves no choice in the bytes.

Floats are written as the shortest decimal text that reads back to the same number, times as RFC 3339 UTC, enums by value.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Hashable
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from station.domain.accounts import AccessFact
from station.domain.backup import RecordRestored, StoreRestored
from station.domain.canonical import canonical
from station.domain.clearance import Clearance, Identification
from station.domain.disinfection import DisinfectionResult
from station.domain.drift import DriftReset, DriftTrip
from station.domain.errors import StoreError
from station.domain.escape import EscapeSettled
from station.domain.freeze import AllClear, FreezeStepDone, LaneFrozen, LaneUnfrozen, LatchSetAgain
from station.domain.gate import GateAction, Permit, Refusal
from station.domain.measurement import InfeedMeasurement
from station.domain.model_use import ModelInUse
from station.domain.piece import Announcement
from station.domain.projection import ProjectionResult
from station.domain.reconciled import DayReconciled
from station.domain.review import Handover, OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.domain.shift import ShiftHandedOver, ShiftTakenOver
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun
from station.domain.vault import ImageLookedAt, ImagesDestroyed, ImageViewed
from station.ports.store import StateChange
from station.storage.tables import utc_text

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_SAFE_INTEGER = 2**53 - 1

KINDS: dict[str, type[Any]] = {
    "access.v1": AccessFact,
    "all_clear.v1": AllClear,
    "announcement.v1": Announcement,
    "clearance.v1": Clearance,
    "day_reconciled.v1": DayReconciled,
    "disinfection.v1": DisinfectionResult,
    "drift_reset.v1": DriftReset,
    "drift_trip.v1": DriftTrip,
    "escape_settled.v1": EscapeSettled,
    "freeze_step_done.v1": FreezeStepDone,
    "gate_action.v1": GateAction,
    "handover.v1": Handover,
    "identification.v1": Identification,
    "image_looked_at.v1": ImageLookedAt,
    "image_match.v1": ImageMatch,
    "image_viewed.v1": ImageViewed,
    "images_destroyed.v1": ImagesDestroyed,
    "infeed_measurement.v1": InfeedMeasurement,
    "lane_frozen.v1": LaneFrozen,
    "lane_unfrozen.v1": LaneUnfrozen,
    "latch_set_again.v1": LatchSetAgain,
    "model_in_use.v1": ModelInUse,
    "model_reading.v1": ModelReading,
    "operator_reading.v1": OperatorReading,
    "permit.v1": Permit,
    "projection_result.v1": ProjectionResult,
    "record_restored.v1": RecordRestored,
    "refusal.v1": Refusal,
    "review_decision.v1": ReviewDecision,
    "scan.v1": Scan,
    "shift_handed_over.v1": ShiftHandedOver,
    "shift_taken_over.v1": ShiftTakenOver,
    "state_change.v1": StateChange,
    "store_restored.v1": StoreRestored,
    "test_piece_reference_ended.v1": TestPieceReferenceEnded,
    "test_piece_run.v1": TestPieceRun,
}
"""Every kind of fact that was ever written. A changed class gets a new version here; old versions stay readable."""

ANNOUNCEMENT = "announcement.v1"
STATE_CHANGE = "state_change.v1"
SCAN = "scan.v1"
_KIND_OF = {kind_type: kind for kind, kind_type in KINDS.items()}


def kind_of(fact: object) -> str:
    """The stored kind of a fact. Raises `StoreError` for a type that is no fact."""
    return kind_of_type(type(fact))


def kind_of_type(fact_type: type[Any]) -> str:
    """The stored kind of facts of a type. Raises `StoreError` for a type that is no fact."""
    try:
        return _KIND_OF[fact_type]
    except KeyError:
        raise StoreError(
            f"{fact_type.__name__} is not a kind of evidence",
            consequence="Nothing was stored",
            remedy="Report this as a programming error",
        ) from None


def to_members(fact: object) -> dict[str, Any]:
    """Encode a fact as the members of its stored form."""
    return typing.cast("dict[str, Any]", _converters(typing.cast("Hashable", type(fact)))[0](fact))


def to_json(fact: object) -> str:
    """Encode a fact as RFC 8785 canonical JSON text."""
    return canonical(to_members(fact))


def from_json(kind: str, payload: str) -> Any:
    """Decode a stored fact.

    Raises:
        StoreError: the kind is unknown, or the payload is not exactly what that kind has.
    """
    kind_type = KINDS.get(kind)
    if kind_type is None:
        raise _unreadable(kind, "unknown kind")
    return decode(kind_type, payload, kind)


def decode(value_type: type[T], payload: str, name: str) -> T:
    """Decode one dataclass from its canonical JSON; `name` stands in the error. Raises `StoreError`."""
    try:
        return typing.cast("T", _converters(typing.cast("Hashable", value_type))[1](json.loads(payload)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(name, str(error)) from error


def _unreadable(kind: str, why: str) -> StoreError:
    return StoreError(
        f"A stored {kind} cannot be read: {why}",
        consequence="The piece that it belongs to is held",
        remedy="Run `station audit verify` and restore the database from its last good backup",
    )


def _encode_int(number: int) -> int | str:
    return number if -_SAFE_INTEGER <= number <= _SAFE_INTEGER else str(number)


def _decode_int(stored: Any) -> int:
    if isinstance(stored, bool) or not isinstance(stored, int | str):
        raise TypeError(f"{stored!r} is not an integer")
    return int(stored)


def _encode_float(number: float) -> str:
    return repr(float(number))


def _decode_float(stored: Any) -> float:
    if not isinstance(stored, str):
        raise TypeError(f"{stored!r} is not a number in text form")
    return float(stored)


def _decode_time(stored: Any) -> datetime:
    moment = datetime.fromisoformat(stored)
    if moment.tzinfo is None:
        raise ValueError(f"{stored!r} has no time zone")
    return moment


def _exactly(kind: type[Any]) -> _Convert:
    def check(stored: Any) -> Any:
        if type(stored) is not kind:
            raise TypeError(f"{stored!r} is not a {kind.__name__}")
        return stored

    return check


def _same(stored: Any) -> Any:
    return stored


_SIMPLE: dict[Any, tuple[_Convert, _Convert]] = {
    str: (_same, _exactly(str)),
    bool: (_same, _exactly(bool)),
    int: (_encode_int, _decode_int),
    float: (_encode_float, _decode_float),
    datetime: (utc_text, _decode_time),
}


@cache
def _converters(hint: Any) -> tuple[_Convert, _Convert]:
    """(encode, decode) for one type annotation; raises `TypeError` for an annotation that has no agreed form."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional(hint)
    if origin is tuple:
        return _tuple(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (lambda member: member.value), hint
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"no stored form for {hint!r}")


def _optional(hint: Any) -> tuple[_Convert, _Convert]:
    (inner,) = (argument for argument in typing.get_args(hint) if argument is not types.NoneType)
    encode, decode_one = _converters(inner)
    return (
        lambda value: None if value is None else encode(value),
        lambda stored: None if stored is None else decode_one(stored),
    )


def _tuple(arguments: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    length = None if arguments[1:] == (Ellipsis,) else len(arguments)
    encode, decode_one = _converters(arguments[0])
    if length is not None and len(set(arguments)) != 1:
        raise TypeError("a stored tuple has members of one type")

    def decode_all(stored: Any) -> tuple[Any, ...]:
        if not isinstance(stored, list) or (length is not None and len(stored) != length):
            raise TypeError(f"{stored!r} is not a list of the right length")
        return tuple(decode_one(member) for member in stored)

    return (lambda members: [encode(member) for member in members]), decode_all


def _dataclass(kind: Any) -> tuple[_Convert, _Convert]:
    hints = typing.get_type_hints(kind)
    fields = {field.name: _converters(hints[field.name]) for field in dataclasses.fields(kind)}
    encoders = tuple((name, encode) for name, (encode, _) in fields.items())
    names = frozenset(fields)

    def encode_object(value: Any) -> dict[str, Any]:
        return {name: encode(getattr(value, name)) for name, encode in encoders}

    def decode_object(stored: Any) -> Any:
        if not isinstance(stored, dict) or stored.keys() != names:
            raise TypeError(f"{kind.__name__} has other members than were stored")
        return kind(**{name: fields[name][1](member) for name, member in stored.items()})

    return encode_object, decode_object
