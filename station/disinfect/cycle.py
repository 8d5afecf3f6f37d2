"""The tunnel's phases and its door: when a dose may count.

Source: contract, disinfection unit registers, `phase` and `door_bits`.
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


DOOR_SHUT = 0b11
"""Closed, locked, and not released from inside (contract: disinfection unit registers, `door_bits`)."""


def is_shut(door_bits: int) -> bool:
    """True when the unit's door keeps what is inside to itself; a bit that the contract does not know speaks against it."""
    return door_bits == DOOR_SHUT


def is_lit(phase: int) -> bool:
    """True when the number is a phase in which a dose may count."""
    return phase in LIT_PHASES
