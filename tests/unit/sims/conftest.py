"""For the simulators' own tests."""

import pytest

from firmware_sims.simulated_lane import SimulatedLane


@pytest.fixture
def lane():
    return SimulatedLane(seed=3, pixels=128)
