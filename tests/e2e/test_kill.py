"""kill -9 of the whole station with pieces on the belts: nothing acknowledged is lost, nothing unsafe leaves, and it goes on."""

import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.kill_campaign import finish, kill_once
from tests.e2e.killed_station import KilledStation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_killed_station_forgets_nothing_and_goes_on(tmp_path: Path):
    rng = random.Random(20)
    with ExitStack() as stack:
        rig = KilledStation.make(tmp_path, seed=20, stack=stack)
        rig.start()
        for moment in ("working", "after-permit", "starting"):
            kill_once(rig, rng, moment=moment)
        finish(rig)
        # Nobody but the PLC's retained ring knew that the piece under the gate had left.
        assert rig.found_by_ring()
        assert rig.facts
