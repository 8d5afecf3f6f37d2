"""What both Modbus units' firmware shares: power, and the faults of the controller itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from firmware_sims.contact import Commands, Contact
from firmware_sims.packml import PackML

BOOT_S = 1.5
COMMON_FAULTS = ("stuck_heartbeat", "clock_jump", "torn_block", "stale_image", "reboot", "brown_out")


class Firmware(ABC):
    """A controller with a boot, a clock of its own and an image that can be torn or held. `boot` forgets what is not retained."""

    faults: tuple[str, ...] = COMMON_FAULTS

    def __init__(self) -> None:
        self.boot_count = 0
        self.torn_reads = 0
        self.image_held = False
        self.online = True
        self.uptime_ms = 0.0
        self.scan = 1
        self.contact = Contact()
        self.commands = Commands()
        self.packml = PackML()
        self._boot_left_s = 0.0

    def boot(self) -> None:
        """Come up anew; the boot count is retained."""
        self.boot_count = self.boot_count % 0xFFFF + 1
        self.online = True
        self.uptime_ms = 0.0
        self.scan = 1
        self.contact = Contact()
        self.commands = Commands()
        self.packml = PackML()

    def reboot(self, *, boot_s: float = BOOT_S) -> None:
        """Restart: without power on the outputs and silent for `boot_s`."""
        self.online = False
        self._boot_left_s = boot_s
        self.release_outputs()

    @abstractmethod
    def release_outputs(self) -> None:
        """Take the power off the outputs."""

    @abstractmethod
    def brown_out(self) -> None:
        """A dip that the CPU survives and the drives or lamps do not."""

    def running(self, dt_s: float) -> bool:
        """Let time pass for the clock, the contact and the state machine; False while booting."""
        if not self.online:
            self._boot_left_s -= dt_s
            if self._boot_left_s <= 0.0:
                self.boot()
            return False
        dt_ms = dt_s * 1000.0
        self.uptime_ms += dt_ms
        self.scan = self.scan % 0xFFFF + 1
        self.contact.step(dt_ms)
        self.commands.step(dt_ms)
        self.packml.step(dt_ms)
        return True

    def jump_clock(self, ms: float) -> None:
        """Let the unit's clock jump."""
        self.uptime_ms = max(0.0, self.uptime_ms + ms)

    def inject(self, name: str, **args: Any) -> None:
        """Make a fault happen.

        Raises:
            KeyError: an unknown fault.
            TypeError: an argument that this fault has not.
        """
        deeds: dict[str, Callable[..., object]] = {
            "stuck_heartbeat": lambda: setattr(self.contact, "stuck", True),
            "clock_jump": lambda ms=5000.0: self.jump_clock(float(ms)),
            "torn_block": lambda reads=1: setattr(self, "torn_reads", int(reads)),
            "stale_image": lambda: setattr(self, "image_held", True),
            "reboot": self.reboot,
            "brown_out": self.brown_out,
        }
        deeds[name](**args)

    def clear(self, name: str) -> None:
        """End a fault; nothing for one that is over by itself, KeyError for an unknown name."""
        if name not in self.faults:
            raise KeyError(name)
        if name == "stuck_heartbeat":
            self.contact.stuck = False
        elif name == "torn_block":
            self.torn_reads = 0
        elif name == "stale_image":
            self.image_held = False
