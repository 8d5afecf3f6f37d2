"""The PackML state machine of both Modbus units (ISA-TR88.00.02; numbers as in `lpmlv2022`)."""

CLEARING, STOPPED, STARTING, IDLE, SUSPENDED, EXECUTE, STOPPING, ABORTING, ABORTED = range(1, 10)
HOLDING, HELD, UNHOLDING, SUSPENDING, UNSUSPENDING, RESETTING, COMPLETING, COMPLETE = range(10, 18)
RESET, START, STOP, HOLD, UNHOLD, SUSPEND, UNSUSPEND, ABORT, CLEAR = range(1, 10)

COMMANDS: dict[tuple[int, int], int] = {
    (STOPPED, RESET): RESETTING,
    (COMPLETE, RESET): RESETTING,
    (IDLE, START): STARTING,
    (EXECUTE, HOLD): HOLDING,
    (HELD, UNHOLD): UNHOLDING,
    (EXECUTE, SUSPEND): SUSPENDING,
    (SUSPENDED, UNSUSPEND): UNSUSPENDING,
    (ABORTED, CLEAR): CLEARING,
}
COMMANDS |= {
    (state, STOP): STOPPING for state in range(CLEARING, COMPLETE + 1) if state not in (STOPPING, STOPPED, CLEARING, ABORTING, ABORTED)
}
COMMANDS |= {(state, ABORT): ABORTING for state in range(CLEARING, COMPLETE + 1) if state not in (ABORTING, ABORTED)}
FAILURES: dict[int, int] = {
    # A unit's own fault holds what was at work, and stops what was only ready.
    **dict.fromkeys((EXECUTE, SUSPENDED, STARTING, UNHOLDING, SUSPENDING, UNSUSPENDING), HOLDING),
    **dict.fromkeys((IDLE, RESETTING, COMPLETING, COMPLETE), STOPPING),
}
ACTING: dict[int, int] = {
    RESETTING: IDLE,
    STARTING: EXECUTE,
    COMPLETING: COMPLETE,
    HOLDING: HELD,
    UNHOLDING: EXECUTE,
    SUSPENDING: SUSPENDED,
    UNSUSPENDING: EXECUTE,
    STOPPING: STOPPED,
    ABORTING: ABORTED,
    CLEARING: STOPPED,
}
ACTING_MS = 100.0


class PackML:
    """The state and the time it takes to pass through an acting state (100 ms)."""

    __slots__ = ("_left_ms", "state")

    def __init__(self) -> None:
        self.state = STOPPED
        self._left_ms = 0.0

    def command(self, command: int) -> bool:
        """Do a command; False, and nothing changed, where the table has no such entry."""
        return self._enter(COMMANDS.get((self.state, command)))

    def fail(self) -> bool:
        """A fault of the unit's own; False where it is still already."""
        return self._enter(FAILURES.get(self.state))

    def _enter(self, target: int | None) -> bool:
        if target is None:
            return False
        self.state = target
        self._left_ms = ACTING_MS
        return True

    def step(self, dt_ms: float) -> None:
        """Let an acting state run out."""
        if self._left_ms > 0.0:
            self._left_ms -= dt_ms
            if self._left_ms <= 0.0:
                self.state = ACTING[self.state]
