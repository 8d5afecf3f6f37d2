"""What may go wrong at any moment, and for how long: drawn from a seeded generator.

Left out is what no lane can help (docs/explanation/residual-risk.md): a swap by stealth for a piece of the same size or behind the
beam, something laid by stealth on or against a piece, a piece laid by hand where the light is, and a gate that is opened by force.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from firmware_sims.detector_faults import LASTING
from firmware_sims.xray_generator import FAULTS
from tests.campaign import requests

Args = dict[str, Any]
MODBUS = ("wire:lane_plc", "wire:disinfection_unit")
WIRES = (
    *MODBUS,
    "wire:xray_generator",
    "wire:line_detector.command",
    "wire:line_detector.lines",
    "wire:barcode_reader",
    "wire:gate_reader",
)
WIRE_FAULTS = ("drop", "delay", "duplicate", "split", "corrupt", "corrupt_valid", "truncate", "noise", "previous", "close", "mute")
LONG_SHARE, LONGEST_S = 0.08, 300.0
"""Some faults last until somebody has found the cause."""

WRONG_FAULTS = ("wrong_count", "wrong_function", "wrong_echo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """One fault: `lasts_s` 0 is over when it is done. `clear` are the arguments that end it."""

    device: str
    name: str
    args: Args = field(default_factory=dict)
    clear: Args = field(default_factory=dict)
    lasts_s: float = 0.0

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.args.items())
        return f"{self.device} {self.name}({told}) for {self.lasts_s:.1f} s"


def draw(rng: random.Random) -> Mishap:
    """The next mishap."""
    kinds: tuple[tuple[int, Callable[[random.Random], Mishap]], ...] = (
        (8, _wire),
        (5, _unit),
        (4, _generator),
        (4, _detector),
        (3, _reader),
        (6, _mechanics),
        (3, _surroundings),
        (6, _hands),
        (3, _station),
        (3, _api),
    )
    (chosen,) = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
    mishap = chosen(rng)
    if mishap.lasts_s and mishap.device != "station" and rng.random() < LONG_SHARE:
        return replace(mishap, lasts_s=rng.uniform(30.0, LONGEST_S))
    return mishap


def _wire(rng: random.Random) -> Mishap:
    if rng.random() < 0.2:
        return Mishap(device=rng.choice(MODBUS), name=rng.choice(WRONG_FAULTS), args={"count": rng.randint(1, 3)}, lasts_s=5.0)
    name = rng.choice(WIRE_FAULTS)
    args: Args = {} if name == "mute" else {"count": rng.choice((1, 1, 2, 5))}
    if name == "delay":
        args["seconds"] = rng.uniform(0.05, 3.0)
    return Mishap(device=rng.choice(WIRES), name=name, args=args, lasts_s=rng.uniform(1.0, 15.0))


def _unit(rng: random.Random) -> Mishap:
    device = rng.choice(("lane_plc", "disinfection_unit"))
    name = rng.choice(("stuck_heartbeat", "clock_jump", "torn_block", "stale_image", "reboot", "brown_out"))
    args: Args = {"clock_jump": {"ms": rng.uniform(-2000.0, 5000.0)}, "torn_block": {"reads": rng.randint(1, 30)}}.get(name, {})
    if device == "disinfection_unit" and rng.random() < 0.4:
        name = rng.choice(("sensor_drift", "sensor_dead", "over_temperature", "lost_samples"))
        args = {"factor": rng.uniform(0.3, 1.0)} if name == "sensor_drift" else {}
    return Mishap(device=device, name=name, args=args, lasts_s=rng.uniform(1.0, 20.0))


def _generator(rng: random.Random) -> Mishap:
    name = rng.choice(("arc", "latch", "interlock", "kv_drift", "brown_out", "reboot", "mute"))
    args: Args = {
        "arc": {"count": rng.randint(1, 6)},
        "latch": {"which": rng.choice(sorted(FAULTS))},
        "kv_drift": {"factor": rng.uniform(0.85, 1.1)},
    }.get(name, {})
    return Mishap(device="xray_generator", name=name, args=args, lasts_s=rng.uniform(1.0, 15.0))


def _detector(rng: random.Random) -> Mishap:
    counted = rng.random() < 0.5
    if counted:
        name = rng.choice(("truncated", "bit_flip", "lost_lines", "silent_gap", "wrong_count", "encoder_jump"))
        return Mishap(device="line_detector", name=name, args={"count": rng.randint(1, 30)}, lasts_s=10.0)
    name = rng.choice(("reboot", "clock_jump", *LASTING))
    args: Args = {"ms": rng.uniform(-500.0, 2000.0)} if name == "clock_jump" else {}
    return Mishap(device="line_detector", name=name, args=args, lasts_s=rng.uniform(1.0, 20.0))


def _reader(rng: random.Random) -> Mishap:
    device = rng.choice(("barcode_reader", "gate_reader"))
    return Mishap(
        device=device, name=rng.choice(("misread", "unreadable", "silent", "repeat")), args={"pieces": rng.randint(1, 2)}, lasts_s=20.0
    )


def _mechanics(rng: random.Random) -> Mishap:
    lasts_s = rng.uniform(0.3, 30.0)
    name = rng.choice(("diverter_jam", "gate_jam", "belt_jam", "eye_stuck", "encoder_slip", "lamp_failure"))
    part: Args = {
        "diverter_jam": {"which": rng.randint(1, 2)},
        "belt_jam": {"belt": rng.randrange(5)},
        "eye_stuck": {"eye": rng.randrange(10)},
        "encoder_slip": {"belt": rng.randrange(5)},
        "lamp_failure": {"lamp": rng.randrange(4)},
    }.get(name, {})
    how: Args = {
        "eye_stuck": {"blocked": rng.random() < 0.5},
        "encoder_slip": {"factor": rng.uniform(0.6, 1.4)},
        "lamp_failure": {"health": rng.choice((0.0, 0.5, 0.9))},
    }.get(name, {})
    return Mishap(device="world", name=name, args=part | how, clear=part, lasts_s=lasts_s)


def _surroundings(rng: random.Random) -> Mishap:
    lasts_s = rng.uniform(0.1, 15.0)
    name = rng.choice(
        ("interlock_open", "interlock_chatter", "estop", "access", "radiation", "scale_offset", "mode", "tunnel_open", "tunnel_unlocked")
    )
    zone = rng.randrange(7)
    args: Args = {
        "interlock_chatter": {"duration_s": lasts_s / 5},
        "access": {"zone": zone},
        "radiation": {"nsv_h": 900},
        "scale_offset": {"grams": rng.uniform(-300.0, 900.0)},
        "mode": {"mode": 2},
    }.get(name, {})
    return Mishap(device="world", name=name, args=args, clear={"zone": zone} if name == "access" else {}, lasts_s=lasts_s)


def _hands(rng: random.Random) -> Mishap:
    name = rng.choice(("lift", "add", "swap", "swap", "tailgate", "lay_at_red", "add_clear", "swap_size"))
    thing: Args = {"piece": {"threat": "bomb"} if rng.random() < 0.5 else {}}
    if name == "lay_at_red":
        return Mishap(device="hands", name=name)
    if name == "add_clear":
        return Mishap(device="hands", name=name, args={"zone": rng.choice((0, 1, 2, 3, 6))} | thing)
    if name == "swap_size":
        return Mishap(device="hands", name=name, args={"zone": rng.choice((0, 0, 1))} | thing)
    if name == "tailgate":
        return Mishap(device="hands", name=name, args={"stealth": True} | thing)
    if name == "lift":
        return Mishap(device="hands", name=name, args={"zone": rng.randrange(7), "stealth": rng.random() < 0.5})
    return Mishap(device="hands", name=name, args={"zone": rng.choice((0, 1, 2, 3, 6)), "stealth": False} | thing)


def _station(rng: random.Random) -> Mishap:
    name = rng.choice(("kill", "kill_at_commit", "restart", "disk_full", "disk_hangs", "freeze_key"))
    return Mishap(device="station", name=name, lasts_s=rng.uniform(5.0, 60.0) if name == "disk_hangs" else rng.uniform(1.0, 20.0))


def _api(rng: random.Random) -> Mishap:
    return Mishap(device="api", name=rng.choice(requests.NAMES))
