"""Runs of the daily test piece as the store keeps them: each a fact, the newest and the trend beside them for each lane."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun, TestPieceTrend, TestValue, TrendWarning, ValueTrend
from station.ports.screening import TestPieceResult
from station.ports.store import ReadView, UnitOfWork


def _key(lane_id: str, what: str) -> str:
    return f"test-piece:{lane_id}:{what}"


def run_of(
    result: TestPieceResult | None, *, piece_id: str, visit: int, at: datetime, lane_id: str, trend: TestPieceTrend, error: str = ""
) -> tuple[TestPieceRun, TestPieceTrend]:
    """The run as a fact, and the trend with it taken into account. Without a result it has failed."""
    measured = result.values if result is not None else {}
    values = tuple(
        TestValue(name=name, measured=value, limit=limit, passed=passed)
        for name, (value, limit, passed) in measured.items()
        if math.isfinite(value) and math.isfinite(limit)
    )
    passed = result is not None and result.passed and len(values) == len(measured) > 0 and all(one.passed for one in values)
    stepped = trend.step(values, passed=passed)
    run = TestPieceRun(
        piece_id=piece_id,
        visit=visit,
        at=at,
        lane_id=lane_id,
        passed=passed,
        values=values,
        not_asked=result.not_asked if result is not None else (),
        warnings=stepped.warnings,
        error=error,
    )
    return run, stepped


def keep_run(uow: UnitOfWork, run: TestPieceRun, trend: TestPieceTrend) -> None:
    """Keep a run as a fact and as the lane's newest, with its alarms. A failed run takes an earlier pass away."""
    lane_id, at = run.lane_id, run.at
    uow.append(run)
    uow.set_value(_key(lane_id, "newest"), json.dumps({**asdict(run), "at": at.isoformat()}))
    uow.set_value(_key(lane_id, "trend"), json.dumps(asdict(trend)))
    uow.set_value(_key(lane_id, "passed-at"), at.isoformat() if run.passed else "")
    if run.passed:
        uow.clear_alarm(AlarmCode.TEST_PIECE_FAILED, lane_id, at)
        uow.clear_alarm(AlarmCode.TEST_PIECE_MISSING, lane_id, at)
    else:
        uow.raise_alarm(AlarmCode.TEST_PIECE_FAILED, AlarmPriority.HIGH, lane_id, failures(run), at)
    if run.warnings:
        uow.raise_alarm(AlarmCode.TEST_PIECE_DRIFTS, AlarmPriority.LOW, lane_id, drifts(run), at)
    else:
        uow.clear_alarm(AlarmCode.TEST_PIECE_DRIFTS, lane_id, at)


def demand_anew(uow: UnitOfWork, lane_id: str) -> None:
    """Let a pass of the test piece count no longer; the newest run stays on record as it was."""
    uow.set_value(_key(lane_id, "passed-at"), "")


def end_reference(uow: UnitOfWork, lane_id: str, *, person: str, note: str, at: datetime) -> TestPieceReferenceEnded:
    """Let the trend of a lane begin anew after work on its scanner. The newest run stays what it was: passed, failed, drifting.

    Raises:
        NotFoundError: the lane has no run yet, so there is nothing that could be ended.
    """
    newest = newest_run(uow, lane_id)
    if newest is None:
        raise NotFoundError(
            f"Lane {lane_id} has had no run of the test piece yet",
            consequence="There is no reference that could be ended",
            remedy="Feed the test piece in",
        )
    ended = TestPieceReferenceEnded(piece_id=newest.piece_id, visit=newest.visit, at=at, lane_id=lane_id, person=person, note=note)
    uow.append(ended)
    uow.set_value(_key(lane_id, "trend"), json.dumps(asdict(TestPieceTrend())))
    uow.clear_alarm(AlarmCode.TEST_PIECE_DRIFTS, lane_id, at)
    return ended


def failures(run: TestPieceRun) -> str:
    """The failed values of a run with their limits, language-free."""
    return ", ".join(f"{one.name} {one.measured:.3g} ({one.limit:.3g})" for one in run.values if not one.passed) or run.error


def drifts(run: TestPieceRun) -> str:
    """The drifting values of a run with their references, language-free."""
    return ", ".join(f"{one.name} {one.reference:.3g} → {one.newest:.3g}" for one in run.warnings)


def passed_at(view: ReadView, lane_id: str) -> datetime | None:
    """When the lane's test piece passed last; None if never, or if the newest run failed."""
    text = view.value(_key(lane_id, "passed-at"))
    return datetime.fromisoformat(text) if text else None


def newest_run(view: ReadView, lane_id: str) -> TestPieceRun | None:
    """The lane's newest run; None when there was none, or when its record cannot be read."""
    known = _stored(view, _key(lane_id, "newest"))
    try:
        return _run(known) if known else None
    except (KeyError, TypeError, ValueError):
        return None


def stored_trend(view: ReadView, lane_id: str) -> TestPieceTrend:
    """The lane's trend; one that cannot be read begins anew, since it only warns."""
    known = _stored(view, _key(lane_id, "trend"))
    try:
        return _trend(known) if known else TestPieceTrend()
    except (KeyError, TypeError, ValueError):
        return TestPieceTrend()


def _stored(view: ReadView, key: str) -> Mapping[str, Any]:
    text = view.value(key)
    try:
        known = json.loads(text) if text else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _run(known: Mapping[str, Any]) -> TestPieceRun:
    return TestPieceRun(
        piece_id=str(known["piece_id"]),
        visit=int(known["visit"]),
        at=datetime.fromisoformat(known["at"]),
        lane_id=str(known["lane_id"]),
        passed=known["passed"] is True,
        values=tuple(TestValue(**one) for one in known["values"]),
        not_asked=tuple(str(one) for one in known["not_asked"]),
        warnings=tuple(TrendWarning(**one) for one in known["warnings"]),
        error=str(known["error"]),
    )


def _trend(known: Mapping[str, Any]) -> TestPieceTrend:
    return TestPieceTrend(
        asked=tuple(str(one) for one in known["asked"]),
        limits=tuple(float(one) for one in known["limits"]),
        values={str(name): _value_trend(one) for name, one in known["values"].items()},
    )


def _value_trend(one: Mapping[str, Any]) -> ValueTrend:
    return ValueTrend(
        first=tuple(float(value) for value in one["first"]), up=float(one["up"]), down=float(one["down"]), newest=float(one["newest"])
    )
