"""What the world did with each piece against what the station says of it, when everything has come to rest."""

from firmware_sims.geometry import EYE_EXIT
from station.domain.alarm import AlarmCode
from station.domain.gate import Permit
from station.domain.identifiers import is_local_id
from station.domain.piece import ON_LANE_STATES, Piece, PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.ports.store import StateChange
from tests.campaign.words import Words
from tests.support.store_facts import check_audit
from tests.support.virtual_scene import Scene

MANY = 1_000_000
OUTSIDE = "outside"


class Books:
    """The run's own notes of what the gate's ring showed and of what hands touched, and the reckoning in the end."""

    def __init__(self) -> None:
        self._ring: set[tuple[int, int]] = set()
        self._too_early: list[str] = []
        self._touched: dict[str, int] = {}
        self._as_left: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    def note_ring(self, scene: Scene) -> None:
        """Look at the gate's ring; often enough, for it holds only the newest passages."""
        ledger = scene.station.simulated.world.ledger
        now = {(tag, challenge) for _, tag, challenge in scene.station.simulated.plc.gate.passed if challenge}
        for tag, challenge in now - self._ring:
            piece_id = next((stay.piece_id for stay in ledger.stays if stay.serial == ledger.tag_to_serial.get(tag)), None)
            if piece_id is None or not any((permit.tag, permit.challenge) == (tag, challenge) for permit in scene.facts(piece_id, Permit)):
                self._too_early.append(f"{piece_id} passed the gate as {tag} before its permit was durable")
        self._ring |= now

    def note_hand(self, scene: Scene, *piece_ids: str | None) -> None:
        """A hand laid these pieces in or took them out."""
        self._touched |= {piece_id: _times_fed(scene, piece_id) for piece_id in piece_ids if piece_id}

    def note_as_left(self, scene: Scene, piece_id: str | None) -> None:
        """A hand is about to take this piece where the station cannot tell it from one that leaves."""
        if piece_id:
            self._as_left[piece_id] = _times_fed(scene, piece_id)

    def note_untold(self, scene: Scene) -> None:
        """What tells how a piece left the exit is being lost: the station cannot know it of those that are there and not on record yet."""
        simulated = scene.station.simulated
        exit_mm = simulated.world.geometry.eye_mm[EYE_EXIT]
        in_exit = {load.piece.piece_id for load in simulated.world.loads if load.head_mm >= exit_mm}
        for known in scene.station.store.read(lambda view: view.pieces(states=[PieceState.DISINFECTED], limit=MANY)):
            if known.piece_id in in_exit or scene.where(known.piece_id)["place"] == OUTSIDE:
                self._untold[known.piece_id] = _times_fed(scene, known.piece_id)

    def note_exit_eye(self, scene: Scene) -> None:
        """The exit eye fails: of whatever is ready to leave the station may not be able to know whether it left."""
        ready = scene.station.store.read(lambda view: view.pieces(states=[PieceState.DISINFECTED], limit=MANY))
        self._untold |= {known.piece_id: _times_fed(scene, known.piece_id) for known in ready}

    def wrongs(self, scene: Scene, words: Words) -> list[str]:
        """Everything that is not as it must be."""
        self.note_ring(scene)
        store = scene.station.store
        wrong = list(self._too_early)
        known = {piece.piece_id: piece for piece in store.read(lambda view: view.pieces(limit=MANY))}
        for piece in known.values():
            wrong += [f"{piece.piece_id} ({piece.state.value}): {what}" for what in self._wrong_of_record(scene, piece)]
            wrong += [f"{piece.piece_id}: {what}" for what in _wrong_of_permits(scene, piece.piece_id, words)]
        for piece_id in scene.station.simulated.mail_room.pieces:
            what = self._wrong_of_thing(scene, piece_id, known.get(piece_id))
            if what:
                wrong.append(f"{piece_id}: {what}")
        explained = {(permit.tag, permit.challenge) for piece_id in known for permit in scene.facts(piece_id, Permit)}
        wrong += [f"nothing explains the gate's passage {entry}" for entry in sorted(self._ring - explained)]
        if scene.dangers():
            wrong.append(f"dangers: {scene.dangers()}")
        try:
            check_audit(store)
        except AssertionError as error:
            wrong.append(f"audit: {error}")
        return wrong

    def _wrong_of_record(self, scene: Scene, piece: Piece) -> list[str]:
        """What is wrong with what the station believes of a piece."""
        wrong, piece_id = [], piece.piece_id
        changes = scene.station.store.read(lambda view: view.history(piece_id))
        sequences = [event.sequence for event in scene.station.store.read(lambda view: view.events_of(piece_id))]
        if sequences != list(range(1, len(sequences) + 1)):
            wrong.append(f"its events are numbered {sequences}")
        passed = [permit for permit in scene.facts(piece_id, Permit) if (permit.tag, permit.challenge) in self._ring]
        if passed and piece.state is not PieceState.RELEASED:
            outside = scene.where(piece_id)["place"] == OUTSIDE
            unknowable = piece.state is PieceState.HELD and self._untold.get(piece_id) == _times_fed(scene, piece_id)
            if (outside and not unknowable) or not all(_was_disbelieved(changes, permit) for permit in passed):
                wrong.append("the gate's ring has it under a permit")
        by_people = piece.state is PieceState.CLEARED and changes[-1].before is PieceState.IN_REVIEW
        if piece.state in ON_LANE_STATES and not by_people:
            wrong.append("nothing is on the belts any more")
        if piece.state is PieceState.RELEASED and is_local_id(piece_id):
            wrong.append("nobody knows what it is")
        return wrong

    def _wrong_of_thing(self, scene: Scene, piece_id: str, known: Piece | None) -> str | None:
        """What is wrong with what the station believes of a thing that is really there."""
        place = scene.where(piece_id)["place"]
        if place == OUTSIDE:
            return "nobody knows it" if known is None else _wrong_outside(scene, known)
        if known is None:
            return None
        fed = _times_fed(scene, piece_id)
        if known.state is PieceState.RELEASED and self._as_left.get(piece_id) != fed:
            return f"it is said to be released and is at {place}"
        if known.state is PieceState.ESCAPED and self._touched.get(piece_id) != fed:
            return f"it is said to have escaped and is at {place}"
        return None


def _was_disbelieved(changes: list[StateChange], permit: Permit) -> bool:
    """It was held after that permit because the exit eye did not tell of it as of one that leaves."""
    return any(
        change.visit == permit.visit
        and change.at >= permit.at
        and change.after is PieceState.HELD
        and Reason.TRACK_LOST.value in change.reasons
        for change in changes
    )


def _wrong_of_permits(scene: Scene, piece_id: str, words: Words) -> list[str]:
    """What people said against the permits that a piece got."""
    cover = scene.pieces.get(piece_id)
    if cover is None:
        return []
    changes = scene.station.store.read(lambda view: view.history(piece_id))
    first_hold = min((change.at for change in changes if change.after is PieceState.HELD), default=None)
    wrong = []
    for permit in scene.facts(piece_id, Permit):
        was_held = first_hold is not None and first_hold < permit.at
        what = words.against(permit, needed=_people_needed(scene, cover["secrecy"], was_held=was_held))
        wrong += [f"it got a permit although {what}"] if what else []
    return wrong


def _people_needed(scene: Scene, level: str | None, *, was_held: bool) -> int:
    """How many people must have cleared it (invariant I7 and the policies of `policy_of`)."""
    if level is not None:
        return 2 if was_held or level == "A" else 1
    return 1 if scene.policy is not None and scene.policy.authority_unmarked is Authority.OPERATOR else 0


def _times_fed(scene: Scene, piece_id: str) -> int:
    """How often it was fed in: what was noted of it counts until it comes again."""
    return sum(stay.visit > 0 for stay in scene.station.simulated.world.ledger.stays_of(piece_id))


def _wrong_outside(scene: Scene, known: Piece) -> str | None:
    """What is wrong with what the station believes of a thing that has left."""
    if known.state is PieceState.RELEASED:
        return None
    if known.state is PieceState.ESCAPED:
        alarms = scene.station.store.read(lambda view: view.alarms(active_only=False, limit=MANY))
        return None if any((a.code, a.subject) == (AlarmCode.ESCAPED, known.piece_id) for a in alarms) else "it escaped without an alarm"
    reasons = reasons_of_visit(scene, known)
    permitted = any(permit.visit == known.visit for permit in scene.facts(known.piece_id, Permit))
    if known.state is PieceState.HELD and Reason.TRACK_LOST in reasons and permitted:
        return None
    return f"it left and is {known.state.value} for {sorted(reasons)}, {'with' if permitted else 'without'} a permit"


def reasons_of_visit(scene: Scene, known: Piece) -> set[str]:
    """Everything that the piece was held for on its last visit."""
    reasons: set[str] = set()
    for change in scene.station.store.read(lambda view: view.history(known.piece_id)):
        reasons = set() if change.after is PieceState.ARRIVED else reasons | set(change.reasons)
    return reasons
