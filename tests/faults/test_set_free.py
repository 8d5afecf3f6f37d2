"""Un-freezing: nothing moves until two people have given the all clear, whatever happens in between, and the lane stands afterwards."""

import pytest

from station.domain.alarm import AlarmCode
from station.domain.freeze import LaneFrozen, LaneUnfrozen, LatchSetAgain, freeze_subject
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.workflow import lane
from station.workflow.equipment import Equipment
from station.workflow.refusals import SecondPersonError
from station.workflow.views import LaneState
from tests.support.scripted_people import OPERATOR, REVIEWERS
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import Scene, play

AT_ONCE_S = 1.0
BRAKED_S = 1.0
STANDS_S = 3.0
FREEZES = freeze_subject(LANE_ID)


def latched(scene: Scene) -> bool:
    return scene.station.simulated.plc.freeze_latch and scene.station.lane.view().state is LaneState.FROZEN


async def frozen_with_a_piece(scene: Scene, head_mm: float) -> str:
    scene.people.unfreezes = scene.people.starts_lane = scene.people.reviews = False
    piece_id = await scene.feed()
    await scene.until_at(piece_id, head_mm)
    scene.station.do(do="press_freeze_key")
    await scene.until(lambda: latched(scene), timeout_s=5.0)
    await scene.settle(BRAKED_S)
    return piece_id


def test_what_may_happen_before_a_frozen_lane_is_set_free():
    async def scene(scene: Scene) -> None:
        people = scene.people
        piece_id = await frozen_with_a_piece(scene, 4200.0)
        place = scene.where(piece_id)

        # The panel alone.
        people.clear_at_panel()
        await scene.settle(AT_ONCE_S)
        assert latched(scene)
        assert len(scene.facts(FREEZES, LatchSetAgain)) == 1
        assert AlarmCode.FREEZE_BYPASSED in {alarm.code for alarm in scene.station.store.read(lambda view: view.alarms())}

        # One person, once; also when the station dies in between, and the PLC restarts.
        await people.tick()
        assert not await people.give_all_clear(REVIEWERS[0])
        with pytest.raises(SecondPersonError):
            await people.give_all_clear(REVIEWERS[0])
        await scene.restart_station(kill=True, dead_s=2.0)
        await scene.until(lambda: latched(scene), timeout_s=30.0)
        with pytest.raises(SecondPersonError):
            await people.give_all_clear(REVIEWERS[0])
        scene.station.fault("lane_plc", "reboot")
        scene.station.do(do="key_switch", on=True)
        await scene.settle(STANDS_S)
        assert latched(scene)
        scene.station.do(do="key_switch", on=False)

        # Two people, without the key; then somebody freezes it again, and the key alone does nothing any more.
        assert await people.give_all_clear(REVIEWERS[1])
        await scene.settle(STANDS_S)
        progress = scene.station.lane.view().freeze
        assert progress is not None
        assert (progress.latched, progress.key_on, progress.all_clear) == (True, False, True)
        await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR))
        scene.station.do(do="key_switch", on=True)
        await scene.settle(STANDS_S)
        assert latched(scene)
        assert scene.where(piece_id) == place
        assert [(one.visit, one.person) for one in scene.facts(FREEZES, LaneFrozen)] == [(1, ""), (2, OPERATOR)]

        # The checklist and both people anew, and the key: the lane is free, and stands until somebody starts it.
        await people.unfreeze()
        (over,) = scene.facts(FREEZES, LaneUnfrozen)
        assert (over.visit, over.people) == (2, REVIEWERS)
        for _ in range(int(STANDS_S)):
            await scene.settle(1.0)
            assert scene.station.lane.view().state is LaneState.STOPPED
        assert scene.where(piece_id) == place
        assert len(scene.facts(FREEZES, LatchSetAgain)) == 1
        people.starts_lane = people.unfreezes = people.reviews = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        assert Reason.FROZEN in scene.reasons(piece_id)
        assert people.reviewed[piece_id]

    play(scene)


def test_a_freeze_while_the_lane_makes_itself_safe_after_the_end_of_another(monkeypatch: pytest.MonkeyPatch):
    """The station died right after the latch was cleared; the next one finds the freeze over, and somebody presses the key again."""

    async def scene(scene: Scene) -> None:
        people = scene.people
        await frozen_with_a_piece(scene, 2800.0)
        await people.give_all_clears()
        scene.station.do(do="key_switch", on=True)
        await scene.station.until(lambda: not scene.station.simulated.plc.freeze_latch, timeout_s=5.0, look_every_s=0.005)
        assert scene.facts(FREEZES, LaneUnfrozen) == []
        pressed: list[bool] = []
        make_safe = lane.make_safe

        async def while_made_safe(equipment: Equipment, *, frozen: bool) -> list[str]:
            if not pressed and scene.facts(FREEZES, LaneUnfrozen):
                pressed.append((await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR)))["frozen"] is True)
            return await make_safe(equipment, frozen=frozen)

        monkeypatch.setattr(lane, "make_safe", while_made_safe)
        await scene.restart_station(kill=True)
        await scene.until(lambda: bool(pressed), timeout_s=30.0)
        await scene.settle(STANDS_S)
        assert latched(scene)
        assert [one.visit for one in scene.facts(FREEZES, LaneFrozen)] == [1, 2]
        scene.station.do(do="key_switch", on=False)
        people.starts_lane = people.unfreezes = people.reviews = True

    play(scene)


def test_a_dead_plc_and_a_station_that_dies_when_the_latch_is_cleared():
    async def scene(scene: Scene) -> None:
        station, people = scene.station, scene.people
        await frozen_with_a_piece(scene, 2800.0)
        await people.give_all_clears()
        station.fault("wire:lane_plc", "mute")
        station.do(do="key_switch", on=True)
        await scene.until(lambda: (view := station.lane.view()).freeze is not None and view.freeze.latched is None, timeout_s=30.0)
        await station.until(lambda: not station.simulated.plc.contact.fresh, timeout_s=30.0)
        station.clear_fault("wire:lane_plc", "mute")
        await station.until(lambda: not station.simulated.plc.freeze_latch, timeout_s=30.0, look_every_s=0.005)
        assert scene.facts(FREEZES, LaneUnfrozen) == []
        await scene.restart_station(kill=True)
        await scene.until(lambda: scene.station.lane.view().state is LaneState.STOPPED, timeout_s=30.0)
        assert (len(scene.facts(FREEZES, LaneUnfrozen)), scene.facts(FREEZES, LatchSetAgain)) == (1, [])
        assert not scene.station.simulated.plc.freeze_latch
        scene.station.do(do="key_switch", on=False)
        people.starts_lane = people.unfreezes = people.reviews = True

    play(scene)
