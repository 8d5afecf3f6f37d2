"""Is the model still what it was calibrated as? Watched at every reading; when it is not, the model clears nothing any more.

For each kind that may be cleared (500 calibration scores or more), and for all of them together, a martingale bets on the smoothed p-values
of first readings of sound scans; beside that the scanner's image quality is followed for each lane. What trips stays tripped, over
restarts, until a supervisor takes it back. The levels are such that scores which did not change ever trip anything with a probability of at
most 1 / `TRIP_CAPITAL` for each calibration (Ville's inequality, and a union over all games).

Every state belongs to a calibration by its SHA-256. A new calibration begins all games and references anew, but does not lift a trip.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import MIN_CALIBRATION
from station.domain.drift import STATE_UNREADABLE, DriftCause, DriftReset, DriftTrip
from station.domain.errors import ConflictError, RefusedError, ScreeningError
from station.domain.people import responsible
from station.domain.reasons import Reason
from station.domain.scan import ModelReading, Scan
from station.ports.store import ReadView, UnitOfWork
from station.screening.image_quality import LIMITS, ImageQuality, QualityTrend
from station.screening.manifest import UNKNOWN_KIND
from station.screening.martingale import BETS, DriftMartingale
from station.screening.score_bag import ScoreBag, tie_share

TRIP_CAPITAL = 100.0
"""Capital of one game alone at which drift is called; several games share the chance of a false alarm."""

OVERALL = "overall"
TRIP_KEY = "drift:trip"

UNSOUND = frozenset(
    {
        Reason.LINES_MISSING,
        Reason.SCAN_INCOMPLETE,
        Reason.PIECE_CLIPPED,
        Reason.TWO_PIECES,
        Reason.DETECTOR_SATURATED,
        Reason.BELT_SPEED_OFF,
        Reason.BEAM_OFF_SET_POINT,
        Reason.CALIBRATION_STALE,
    }
)
"""Scans with these are none that the model was calibrated on. What lies in a piece (an opaque area, a high score) is no ground for leaving
it out: that would cut the p-values at one end, and a game on cut p-values is not fair."""


def _scores_key(name: str) -> str:
    return f"drift:scores:{name}"


def _left_key(calibration_sha256: str) -> str:
    """Under it stands the trip by which the scores left a calibration, for good."""
    return f"drift:left:{calibration_sha256}"


def _image_key(lane_id: str) -> str:
    return f"drift:image:{lane_id}"


class DriftWatch:
    """Watches one model with one calibration. Called by the store's writer; `tripped` may be read from any thread.

    Args:
        site: what its alarm is about.
        model_sha256: the model.
        calibration_sha256: the calibration.
        calibration: scores per kind as pieces are announced; only kinds with 500 or more are watched, since no other is cleared.
    """

    def __init__(self, *, site: str, model_sha256: str, calibration_sha256: str, calibration: Mapping[str, Sequence[float]]) -> None:
        self._site = site
        self._model = model_sha256
        self._calibration_sha256 = calibration_sha256
        self._calibration = {kind: scores for kind, scores in calibration.items() if len(scores) >= MIN_CALIBRATION}
        kinds = set(self._calibration) - {UNKNOWN_KIND}
        # `unknown` shares its scores with the kinds: its p-values are not independent of theirs, so it plays for itself alone
        self._in_overall = frozenset(kinds) if len(kinds) > 1 else frozenset()
        self.level = TRIP_CAPITAL * (len(self._calibration) + bool(self._in_overall))
        self._tripped = False

    @property
    def tripped(self) -> bool:
        """True when the model must not clear anything."""
        return self._tripped

    def start(self, uow: UnitOfWork, at: datetime) -> None:
        """Take up what earlier runs of the station knew."""
        text = self._trip_that_stands(uow)
        self._tripped = bool(text)
        if text:
            uow.raise_alarm(AlarmCode.MODEL_DRIFT, AlarmPriority.HIGH, self._site, "", at)
        else:
            uow.clear_alarm(AlarmCode.MODEL_DRIFT, self._site, at)

    def reading(self, uow: UnitOfWork, scan: Scan, reading: ModelReading, quality: ImageQuality) -> None:
        """Take one reading into account, in the transaction that stores it; nothing more is taken once it tripped."""
        if self._tripped:
            return
        try:
            causes = (*self._scores(uow, scan, reading), *self._image(uow, scan, quality))
        except (ValueError, KeyError, TypeError, AttributeError, ScreeningError):
            # without its record nobody can say how much capital there was
            causes = (DriftCause(what=STATE_UNREADABLE, measured=0.0, limit=0.0),)
        if causes:
            self._trip(uow, scan, causes)

    def _scores(self, uow: UnitOfWork, scan: Scan, reading: ModelReading) -> list[DriftCause]:
        kind = reading.kind
        counts = scan.visit == 1 and reading.projected_sha256 is None and not UNSOUND.intersection(one.reason for one in scan.findings)
        if not counts or kind not in self._calibration or reading.model_sha256 != self._model or not math.isfinite(reading.score):
            return []
        known = self._stored(uow, _scores_key(kind))
        bag = _bag(known) if known else ScoreBag.of(self._calibration[kind])
        p = bag.add(reading.score, tie_share=tie_share(scan.sha256))
        games = {kind: _game(known).step(p)}
        self._store(uow, _scores_key(kind), {**_game_state(games[kind]), "counts": bag.counts()})
        if kind in self._in_overall:
            games[OVERALL] = _game(self._stored(uow, _scores_key(OVERALL))).step(p)
            self._store(uow, _scores_key(OVERALL), _game_state(games[OVERALL]))
        return [
            DriftCause(what=f"scores {name}", measured=game.most, limit=self.level)
            for name, game in games.items()
            if game.most >= self.level
        ]

    def _image(self, uow: UnitOfWork, scan: Scan, quality: ImageQuality) -> list[DriftCause]:
        key = _image_key(scan.lane_id)
        trend = _trend(self._stored(uow, key)).step(quality)
        self._store(uow, key, _trend_state(trend))
        figures = trend.figures()
        return [
            DriftCause(what=f"image {name}", measured=figures[name], limit=LIMITS[name][figures[name] > LIMITS[name][0]])
            for name in trend.out_of_limits
        ]

    def _trip(self, uow: UnitOfWork, scan: Scan, causes: tuple[DriftCause, ...]) -> None:
        trip = DriftTrip(
            piece_id=scan.piece_id,
            visit=scan.visit,
            at=scan.at,
            lane_id=scan.lane_id,
            scan_sha256=scan.sha256,
            model_sha256=self._model,
            calibration_sha256=self._calibration_sha256,
            causes=causes,
        )
        # before the transaction is durable: should it fail, the model rather clears nothing until the next start
        self._tripped = True
        uow.append(trip)
        uow.set_value(TRIP_KEY, _trip_text(trip))
        if any(one.about_scores for one in causes):
            uow.set_value(_left_key(self._calibration_sha256), _trip_text(trip))
        detail = ", ".join(f"{one.what} {one.measured:.4g} ({one.limit:.4g})" for one in causes)
        uow.raise_alarm(AlarmCode.MODEL_DRIFT, AlarmPriority.HIGH, self._site, detail, scan.at)

    def resume(self, uow: UnitOfWork, *, person: str, note: str, at: datetime) -> DriftReset:
        """A supervisor lets the model of this watch clear again; the record says who, when and on which calibration.

        Raises:
            ConflictError: nothing has tripped.
            RefusedError: no name, or one that cannot be shown; or the scores tripped and the calibration is still the one that tripped.
        """
        text = self._trip_that_stands(uow)
        if not text:
            raise ConflictError("The model has not been stopped", consequence="Nothing was changed")
        person, note = responsible(person, note)
        known = _trip_facts(text)
        if known["scores"] and known["calibration"] == self._calibration_sha256:
            raise RefusedError(
                "The model's scores left its calibration, and it still has that calibration",
                consequence="The model stays stopped; people clear",
                remedy="Fit or calibrate the model on this site, then take the stop back",
            )
        reset = DriftReset(
            piece_id=known["piece_id"],
            visit=known["visit"],
            at=at,
            person=person,
            note=note,
            model_sha256=self._model,
            calibration_sha256=self._calibration_sha256,
        )
        uow.append(reset)
        if known["lane_id"]:
            self._restart_image(uow, known["lane_id"])
        if known["unreadable"]:
            for name in (*self._calibration, OVERALL):
                uow.set_value(_scores_key(name), "")
        uow.set_value(TRIP_KEY, "")
        uow.clear_alarm(AlarmCode.MODEL_DRIFT, self._site, at)
        self._tripped = False
        return reset

    def _restart_image(self, uow: UnitOfWork, lane_id: str) -> None:
        """The lane's reference stays, so that a fault that is still there trips again; one that cannot be read begins anew."""
        try:
            trend = _trend(self._stored(uow, _image_key(lane_id)))
        except (ValueError, KeyError, TypeError, AttributeError):
            trend = QualityTrend()
        self._store(uow, _image_key(lane_id), _trend_state(trend.restarted()))

    def state(self, view: ReadView, lanes: Sequence[str]) -> dict[str, object]:
        """Everything in figures, for people and programs: capital against level, image quality against its reference, and what tripped."""
        games = {}
        for name in (*sorted(self._calibration), *([OVERALL] if self._in_overall else [])):
            game = _game(self._stored(view, _scores_key(name)))
            games[name] = {"pieces": game.pieces, "capital": game.capital, "most": game.most, "level": self.level}
        images = {}
        for lane_id in lanes:
            trend = _trend(self._stored(view, _image_key(lane_id)))
            images[lane_id] = {"scans": trend.scans, **(trend.figures() if trend.scans else {})}
        text = self._trip_that_stands(view)
        return {"tripped": json.loads(text) if text else None, "scores": games, "images": images}

    def _trip_that_stands(self, view: ReadView) -> str | None:
        """The trip that nobody took back; or that of this very calibration, which no detour over another model gives its trust back."""
        return view.value(TRIP_KEY) or view.value(_left_key(self._calibration_sha256))

    def _stored(self, view: ReadView, key: str) -> dict[str, object]:
        """The state under a key; empty when there is none, or one of another calibration."""
        text = view.value(key)
        state = json.loads(text) if text else {}
        if not isinstance(state, dict):
            raise TypeError(key)
        return state if state.get("calibration") == self._calibration_sha256 else {}

    def _store(self, uow: UnitOfWork, key: str, state: Mapping[str, object]) -> None:
        uow.set_value(key, json.dumps({"calibration": self._calibration_sha256, **state}, separators=(",", ":")))


def _bag(state: Mapping[str, object]) -> ScoreBag:
    counts = state["counts"]
    if not isinstance(counts, dict):
        raise TypeError("counts")
    return ScoreBag({int(place): int(count) for place, count in counts.items()})


def _game_state(game: DriftMartingale) -> dict[str, object]:
    return {"stakes": game.stakes, "pieces": game.pieces, "most": game.most}


def _numbers(value: object, count: int) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != count:
        raise TypeError("numbers")
    return tuple(float(one) for one in value)


def _game(state: Mapping[str, object]) -> DriftMartingale:
    if not state:
        return DriftMartingale()
    stakes, most = _numbers(state["stakes"], BETS), float(str(state["most"]))
    if not all(math.isfinite(one) and one >= 0 for one in (*stakes, most)):
        raise ValueError("stakes")
    return DriftMartingale(stakes=stakes, pieces=int(str(state["pieces"])), most=most)


def _trend_state(trend: QualityTrend) -> dict[str, object]:
    return {"scans": trend.scans, "reference": trend.reference, "newest": trend.newest}


def _trend(state: Mapping[str, object]) -> QualityTrend:
    if not state:
        return QualityTrend()
    reference, newest = _numbers(state["reference"], 3), _numbers(state["newest"], 3)
    return QualityTrend(
        scans=int(str(state["scans"])),
        reference=(reference[0], reference[1], reference[2]),
        newest=(newest[0], newest[1], newest[2]),
    )


def stop_until_resumed(uow: UnitOfWork, *, piece_id: str, visit: int, at: datetime, why: str) -> None:
    """From the next start on the model clears nothing, whatever model it is, until a supervisor resumes it; a stop that stands stays.

    `why` is shown in place of what drifted; `piece_id` and `visit` name the fact that the resumption answers.
    """
    if uow.value(TRIP_KEY):
        return
    causes = [{"what": why, "measured": 0.0, "limit": 0.0}]
    facts = {"at": at.isoformat(), "calibration": "", "causes": causes, "lane_id": "", "piece_id": piece_id}
    uow.set_value(TRIP_KEY, json.dumps({**facts, "scores": False, "unreadable": False, "visit": visit}))


def _trip_text(trip: DriftTrip) -> str:
    facts = {
        "at": trip.at.isoformat(),
        "calibration": trip.calibration_sha256,
        "causes": [{"what": one.what, "measured": one.measured, "limit": one.limit} for one in trip.causes],
        "lane_id": trip.lane_id if any(not one.about_scores for one in trip.causes) else "",
        "piece_id": trip.piece_id,
        "scores": any(one.about_scores for one in trip.causes),
        "unreadable": any(one.what == STATE_UNREADABLE for one in trip.causes),
        "visit": trip.visit,
    }
    return json.dumps(facts)


def _trip_facts(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
        return {name: facts[name] for name in ("calibration", "lane_id", "piece_id", "scores", "unreadable", "visit")}
    except (ValueError, KeyError, TypeError):
        # that it tripped is all that is known: every game begins anew on the supervisor's word
        return {"calibration": "", "lane_id": "", "piece_id": "unknown", "scores": False, "unreadable": True, "visit": 0}


def drift_lines(state: Mapping[str, Any]) -> list[str]:
    """What `DriftWatch.state` found, a line each."""
    lines = [f"{'scores':12s} {'pieces':>8s} {'capital':>10s} {'most':>10s} {'level':>8s}"]
    for name, game in state["scores"].items():
        lines.append(f"{name:12s} {game['pieces']:8d} {game['capital']:10.4g} {game['most']:10.4g} {game['level']:8.4g}")
    for lane_id, image in state["images"].items():
        figures = ", ".join(f"{name} {image[name]:.4g} ({low:g}…{high:g})" for name, (low, high) in LIMITS.items() if name in image)
        lines.append(f"{lane_id}: {image['scans']} scans {figures}")
    trip = state["tripped"]
    lines.append("tripped: no" if trip is None else f"tripped: {trip['at']} {', '.join(one['what'] for one in trip['causes'])}")
    return lines
