"""What a lane's status must show while it starts: each demand holds the one before, and an access or an open chain is never overlooked."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from station.domain.reasons import Reason
from station.ports.disinfection_unit import UnitStatus
from station.ports.lane_plc import Eye, LaneStatus
from station.workflow.demands import (
    BOTH_CHAINS,
    EXECUTE,
    demand_empty,
    demand_no_unit_fault,
    demand_nothing,
    demand_running,
    demand_safe,
    demand_unit_shut,
    demand_unlatched,
)
from station.workflow.equipment import FreezeLatched, LaneTrouble
from station.workflow.says import Says, say

Demand = Callable[[LaneStatus], None]

IN_ORDER = replace(
    LaneStatus(**{**dict.fromkeys(LaneStatus.__dataclass_fields__, 0), "freeze_latch": False}),  # type: ignore[arg-type]
    state=EXECUTE,
    estop_bits=BOTH_CHAINS,
    interlock_bits=BOTH_CHAINS,
)
UNIT = replace(
    UnitStatus(**dict.fromkeys(UnitStatus.__dataclass_fields__, 0)),  # type: ignore[arg-type]
    door_bits=0b11,
)
DISAGREED = BOTH_CHAINS | 0b100
DEMANDS: tuple[Demand, ...] = (demand_nothing, demand_unlatched, demand_safe, demand_empty)


def trouble_of(demand: Demand, status: LaneStatus) -> Reason | None:
    """Why the demand is not met."""
    try:
        demand(status)
    except FreezeLatched:
        return Reason.FROZEN
    except LaneTrouble as trouble:
        return trouble.reason
    return None


@pytest.mark.parametrize("demand", [*DEMANDS, demand_running])
def test_a_lane_in_order_meets_every_demand(demand: Demand):
    assert trouble_of(demand, IN_ORDER) is None


@pytest.mark.parametrize(
    ("changes", "first", "reason"),
    [
        ({"freeze_latch": True}, demand_unlatched, Reason.FROZEN),
        ({"access_bits": 1 << 4}, demand_safe, Reason.ZONE_ACCESSED),
        ({"estop_bits": 0b10}, demand_safe, Reason.PLC_FAULT),
        ({"interlock_bits": 0b01}, demand_safe, Reason.PLC_FAULT),
        ({"interlock_bits": DISAGREED}, demand_empty, Reason.PLC_FAULT),
        ({"faults": 1 << 7}, demand_empty, Reason.TAILGATE),
        ({"faults": 1}, demand_empty, Reason.PLC_FAULT),
        ({"state": 11}, demand_empty, Reason.PLC_FAULT),
        ({"photo_eyes": 1 << Eye.UV_IN}, demand_empty, Reason.TRACK_LOST),
    ],
)
def test_a_start_demands_more_with_each_step(changes: dict[str, int], first: Demand, reason: Reason):
    """Before that step it is not asked for: a latched fault is there to be reset, a covered eye to be purged."""
    status = replace(IN_ORDER, **changes)
    at = DEMANDS.index(first)
    assert [trouble_of(demand, status) for demand in DEMANDS] == [None] * at + [reason] * (len(DEMANDS) - at)


def test_a_latch_is_told_before_what_came_with_it():
    for demand in (demand_safe, demand_empty):
        assert trouble_of(demand, replace(IN_ORDER, freeze_latch=True, access_bits=1, faults=1, state=11)) is Reason.FROZEN


@pytest.mark.parametrize(
    ("faults", "reason"),
    [(1 << 10, Reason.LAMP_FAULT), (1 << 10 | 1 << 14, Reason.LAMP_FAULT), (1 << 14, Reason.UNIT_FAULT), (1, Reason.UNIT_FAULT)],
)
def test_a_unit_that_reports_a_fault_is_in_trouble(faults: int, reason: Reason):
    demand_no_unit_fault(UNIT)
    with pytest.raises(LaneTrouble) as raised:
        demand_no_unit_fault(replace(UNIT, faults=faults))
    assert raised.value.reason is reason


@pytest.mark.parametrize("demand", [demand_unit_shut, demand_no_unit_fault])
@pytest.mark.parametrize("door_bits", [0b00, 0b01, 0b10, 0b111, 0b1011])
@pytest.mark.parametrize("faults", [0, 1 << 10, 1 << 14])
def test_a_unit_that_is_not_shut_is_in_trouble_whatever_else_it_reports(demand: Callable[[UnitStatus], None], door_bits: int, faults: int):
    demand(UNIT)
    with pytest.raises(LaneTrouble) as raised:
        demand(replace(UNIT, door_bits=door_bits, faults=faults))
    assert (raised.value.reason, raised.value.detail) == (Reason.UNIT_FAULT, say(Says.UNIT_DOOR))
