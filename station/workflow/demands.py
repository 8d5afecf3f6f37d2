"""What the status of a lane's units must show, and the trouble that it is in when it does not. Pure.

A lane that starts comes from one demand to the next: unlatched before anything is asked of it, safe before anything moves, empty from the
purge on. A lane that runs must be running.
"""

from dataclasses import replace

from station.disinfect.cycle import is_shut
from station.domain.reasons import Reason
from station.ports.disinfection_unit import UnitStatus
from station.ports.lane_plc import LaneStatus
from station.workflow import says
from station.workflow.equipment import FreezeLatched, LaneTrouble
from station.workflow.says import Says, say

EXECUTE = 6
"""PackML state number (ISA-TR88.00.02)."""

TAILGATE_FAULT = 1 << says.FAULTS.index("tailgate")
LAMP_FAULT = 1 << says.FAULTS.index("lamp")

BOTH_CHAINS = 0b11
"""Both e-stop chains closed; both interlocks closed and in agreement."""


def demand_nothing(_status: LaneStatus | UnitStatus) -> None:
    """The demand on a unit that only has to stay in reach."""


def demand_unlatched(status: LaneStatus) -> None:
    """Raise `FreezeLatched` when the freeze latch is set."""
    if status.freeze_latch:
        raise FreezeLatched


def demand_safe(status: LaneStatus) -> None:
    """Raise what speaks against moving anything: the freeze latch, or the `LaneTrouble` of an access or of the safety circuit."""
    demand_unlatched(status)
    _demand_no_access(status)
    # That the interlocks disagreed stays latched until the reset of a start; a running lane demands that it is gone.
    _demand_safety(replace(status, interlock_bits=status.interlock_bits & BOTH_CHAINS))


def demand_running(status: LaneStatus) -> None:
    """Raise the `LaneTrouble` that the status of a running lane shows, if any."""
    _demand_no_access(status)
    if status.faults & TAILGATE_FAULT:
        raise LaneTrouble(Reason.TAILGATE, faults_of(status))
    if status.faults or status.state != EXECUTE:
        raise LaneTrouble(Reason.PLC_FAULT, faults_of(status) if status.faults else state_of(status))
    _demand_safety(status)


def demand_empty(status: LaneStatus) -> None:
    """Raise what speaks against a lane that has been purged: what comes onto its belts now is followed by nobody."""
    demand_safe(status)
    demand_running(status)
    if status.photo_eyes:
        raise LaneTrouble(Reason.TRACK_LOST, say(Says.TOO_EARLY, eyes=says.eyes(status.photo_eyes)))


def demand_unit_shut(unit: UnitStatus) -> None:
    """Raise the `LaneTrouble` of a disinfection unit whose door is not closed and locked."""
    if not is_shut(unit.door_bits):
        raise LaneTrouble(Reason.UNIT_FAULT, say(Says.UNIT_DOOR))


def demand_no_unit_fault(unit: UnitStatus) -> None:
    """Raise the `LaneTrouble` of a disinfection unit that stands open or reports a fault: of its lamps, or another one."""
    # An open door takes the lamps' supply away: it explains what else the unit reports.
    demand_unit_shut(unit)
    if unit.faults:
        reason = Reason.LAMP_FAULT if unit.faults & LAMP_FAULT else Reason.UNIT_FAULT
        raise LaneTrouble(reason, say(Says.UNIT_FAULTS, faults=says.faults(unit.faults)))


def faults_of(status: LaneStatus) -> str:
    """The PLC's faults, language-free."""
    return say(Says.PLC_FAULTS, faults=says.faults(status.faults), first=says.fault(status.first_fault))


def state_of(status: LaneStatus) -> str:
    """The PLC's state, language-free."""
    return say(Says.PLC_STATE, state=says.state(status.state), faults=says.faults(status.faults))


def _demand_no_access(status: LaneStatus) -> None:
    if status.access_bits:
        raise LaneTrouble(Reason.ZONE_ACCESSED, say(Says.ZONES_REACHED, zones=says.zones(status.access_bits)))


def _demand_safety(status: LaneStatus) -> None:
    if status.estop_bits != BOTH_CHAINS:
        raise LaneTrouble(Reason.PLC_FAULT, say(Says.ESTOP, chains=says.open_chains(status.estop_bits)))
    if status.interlock_bits != BOTH_CHAINS:
        raise LaneTrouble(Reason.PLC_FAULT, say(Says.INTERLOCK, chains=says.open_chains(status.interlock_bits)))
