"""What is to be judged: facts, rules and health, and the flips that turn some of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from domain_facts import (
    BY_MODEL,
    BY_OPERATOR,
    BY_REVIEW,
    BY_TWO,
    HEALTH,
    MODEL_POLICY,
    NOW,
    OPERATOR_POLICY,
    READING,
    SECOND,
    TWO_POLICY,
)

from station.domain.clearance import Clearance, StationHealth, VisitEvidence, clear
from station.domain.policy import Policy
from station.domain.review import OperatorDecision


@dataclass(frozen=True)
class World:
    evidence: VisitEvidence
    policy: Policy
    health: StationHealth = HEALTH

    def judged(self) -> Clearance:
        return clear(self.evidence, self.policy, self.health, NOW)


Flip = Callable[[World], World]
MODEL_WORLD = World(BY_MODEL, MODEL_POLICY)
OPERATOR_WORLD = World(BY_OPERATOR, OPERATOR_POLICY)
TWO_WORLD = World(BY_TWO, TWO_POLICY)
REVIEW_WORLD = World(BY_REVIEW, OPERATOR_POLICY)
WORLDS = {"model": MODEL_WORLD, "operator": OPERATOR_WORLD, "two people": TWO_WORLD, "review": REVIEW_WORLD}


def evidence(**changes: object) -> Flip:
    return lambda world: replace(world, evidence=replace(world.evidence, **changes))


def part(name: str, **changes: object) -> Flip:
    def flip(world: World) -> World:
        value = getattr(world.evidence, name)
        return world if value is None else evidence(**{name: replace(value, **changes)})(world)

    return flip


def health(**changes: object) -> Flip:
    return lambda world: replace(world, health=replace(world.health, **changes))


def policy(**changes: object) -> Flip:
    return lambda world: replace(world, policy=replace(world.policy, **changes))


def another_reading(decision: OperatorDecision, **changes: object) -> Flip:
    def flip(world: World) -> World:
        added = replace(SECOND, decision=decision, **changes)
        return evidence(operator_readings=(*world.evidence.operator_readings, added))(world)

    return flip


def known_alarm(score: float) -> Flip:
    """What the model had said of the scan that people cleared."""
    return evidence(cleared_reading=replace(READING, score=score, visit=1))
