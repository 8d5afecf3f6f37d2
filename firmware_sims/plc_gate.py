"""The lane PLC's gate: one permit, one opening, one piece.

A permit waits until its piece stands at the gate eye and is void when its time is over. The gate opens only then, with the uv_out eye
clear, and shuts when the encoder says that the tail is through, or the exit eye has seen it. B5 cannot run a piece into a gate
that is not open: that is wired, not programmed.
"""

import random

from firmware_sims.geometry import EYE_EXIT, EYE_GATE, EYE_UV_OUT
from firmware_sims.plc_tracking import Track
from firmware_sims.world import World

AT_GATE_MM = 40.0
UNDER_MM = 95.0
TAIL_CLEAR_MM = 105.0
LENGTH_SLACK_MM = 40.0
LONGEST_MM = 450.0
OPEN_LIMIT_MS = 3000.0
SHUTTING_MS = 400.0
JAM_SHOWN_MS = 600.0
JAM_FAULT_MS = 1000.0
PASSED_RING = 8
FAR_MM = 1e9
CLOSED, OPEN, MOVING, JAMMED = range(4)


class GateControl:
    """Permit, challenge and the gate's drive. `passed` is the retained ring of (seq, tag, challenge)."""

    __slots__ = (
        "_at_mm",
        "_max_mm",
        "_open_ms",
        "_rng",
        "_shut_once",
        "_since_shut_ms",
        "_tail_mm",
        "_used_challenge",
        "_world",
        "active_tag",
        "b5_inhibited",
        "challenge",
        "forced",
        "front",
        "off_target_ms",
        "passed",
        "passed_seq",
        "permit",
        "permit_left_ms",
        "tailgate",
    )

    def __init__(self, *, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self.passed: list[tuple[int, int, int]] = [(0, 0, 0)] * PASSED_RING
        self.passed_seq = 0
        self.boot()

    def boot(self) -> None:
        """Forget all but the ring; the gate's spring shuts it."""
        self.permit: tuple[int, int] | None = None
        self.permit_left_ms = 0.0
        self.active_tag = 0
        self.front: Track | None = None
        self.tailgate = False
        self.forced = False
        self.b5_inhibited = False
        self.off_target_ms = 0.0
        # A piece that stood at the gate eye before the boot counts as standing at the gate.
        self._at_mm = FAR_MM
        self._tail_mm = -1.0
        self._max_mm = 0.0
        self._open_ms = 0.0
        self._since_shut_ms = FAR_MM
        self._used_challenge = 0
        self._shut_once = False
        self._world.set_gate(is_open=False)
        self.renew()

    def renew(self) -> None:
        """Draw a fresh challenge, never 0 and never the one before; a permit for the old one is void."""
        old = getattr(self, "challenge", 0)
        self.challenge = old
        while self.challenge in (old, 0):
            self.challenge = self._rng.getrandbits(32)
        self.permit = None

    @property
    def reading(self) -> int:
        """The gate register: closed, open, moving or jammed."""
        gate = self._world.gate
        if self.off_target_ms > JAM_SHOWN_MS:
            return JAMMED
        if gate.position != gate.target:
            return MOVING
        return OPEN if gate.open_fully else CLOSED

    def step(self, dt_ms: float, *, eyes: int, rising: int, falling: int, moved_mm: float, front: Track | None, armed: bool) -> None:
        """One scan. `armed` is false where no permit may live: stale, frozen, access, not executing, maintenance."""
        gate = self._world.gate
        at_eye = eyes >> EYE_GATE & 1
        if rising >> EYE_GATE & 1:
            self._at_mm = 0.0
            if self.active_tag:
                self.tailgate = True
        elif self._at_mm < FAR_MM:
            self._at_mm += moved_mm
        if front is not self.front:
            self.front = front
            if front is not None:
                self.renew()
        if self.permit is not None:
            self.permit_left_ms -= dt_ms
            if not armed or self.permit_left_ms <= 0.0:
                self.permit = None
            elif at_eye and not self.active_tag and not eyes >> EYE_UV_OUT & 1:
                self._try_open(front)
        if self.active_tag:
            self._step_open(dt_ms, eyes=eyes, rising=rising, falling=falling, moved_mm=moved_mm, armed=armed)
        self._since_shut_ms += dt_ms
        self._watch_flap(dt_ms)
        shut = gate.shut_fully
        self.b5_inhibited = bool(
            (at_eye and self._at_mm >= AT_GATE_MM and not (self.active_tag and gate.open_fully))
            or (not shut and not self.active_tag and (at_eye or (eyes >> EYE_EXIT & 1 and self._since_shut_ms > SHUTTING_MS)))
        )

    def _try_open(self, front: Track | None) -> None:
        if self.permit is None or front is None or front.tag != self.permit[0] or front.next_eye != EYE_EXIT:
            return
        if not self._world.gate.shut_fully:
            # Something still holds the gate: the piece before this one is not out yet.
            return
        self.active_tag, self._used_challenge = self.permit
        self._max_mm = (front.length_mm or LONGEST_MM) + LENGTH_SLACK_MM
        self._tail_mm = -1.0
        self._open_ms = 0.0
        self._shut_once = False
        self._world.set_gate(is_open=True, permit_tag=self.active_tag)
        self.renew()

    def _step_open(self, dt_ms: float, *, eyes: int, rising: int, falling: int, moved_mm: float, armed: bool) -> None:
        self._open_ms += dt_ms
        if rising >> EYE_EXIT & 1 and self._used_challenge:
            self.passed_seq = self.passed_seq % 0xFFFF + 1
            self.passed[self.passed_seq % PASSED_RING] = (self.passed_seq, self.active_tag, self._used_challenge)
            self._used_challenge = 0
        if falling >> EYE_GATE & 1:
            self._tail_mm = 0.0
        elif self._tail_mm >= 0.0:
            self._tail_mm += moved_mm
        elif eyes >> EYE_GATE & 1 and self._at_mm > self._max_mm:
            # Longer than the piece that uv_out measured: something hangs on to it.
            self.tailgate = True
        cleared = self._tail_mm >= 0.0 and (self._tail_mm >= TAIL_CLEAR_MM or bool(falling >> EYE_EXIT & 1))
        under = self._at_mm >= UNDER_MM
        given_up = not under and (not armed or self._open_ms > OPEN_LIMIT_MS)
        lifted = not armed and not eyes & (1 << EYE_GATE | 1 << EYE_EXIT)
        if cleared or given_up or lifted or self.tailgate:
            self.active_tag = 0
            self._since_shut_ms = 0.0
            self._world.set_gate(is_open=False)

    def _watch_flap(self, dt_ms: float) -> None:
        gate = self._world.gate
        if gate.position == gate.target:
            self.off_target_ms = 0.0
            self._shut_once = self._shut_once or gate.shut_fully
            self.forced = False
        else:
            self.off_target_ms += dt_ms
            self.forced = self._shut_once and not self.active_tag and not gate.shut_fully
