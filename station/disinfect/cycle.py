"""The tunnel's phases: in which of them a dose may count.

Source: contract, disinfection unit registers, `phase`.
"""

from enum import IntEnum


class TunnelPhase(IntEnum):
    """What the tunnel says that it is doing."""

    OFF = 0
    WARMING = 1
    READY = 2
    EXPOSING = 3


_P = TunnelPhase
LIT_PHASES = frozenset({_P.READY, _P.EXPOSING})
"""Phases in which the lamps are warm; a dose that was gathered in any other one does not count."""


def is_lit(phase: int) -> bool:
    """True when the number is a phase in which a dose may count."""
    return phase in LIT_PHASES
