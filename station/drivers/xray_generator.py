"""X-ray generators of Spellman's STX family. Implements `station.ports.xray.XrayGenerator`; the models are in `stx_profiles`."""

import asyncio
import contextlib
import math
from dataclasses import replace

from station.domain.errors import DeviceError, DeviceRefusedError
from station.drivers.link import Connector, open_endpoint
from station.drivers.stx_link import STX_DEADLINE_S, StxLine
from station.drivers.stx_profiles import DAC_FULL_SCALE, StxProfile, profile_named
from station.drivers.tube_conditioning import HOURS_PER_DAY, TubeStep, conditioning_steps, step_after
from station.ports.clock import Clock
from station.ports.xray import GeneratorStatus

DEVICE = "The X-ray generator"
SCALING_VALUES = 3
WATCHDOG_S = 2
WATCHDOG_LONGEST_S = 10
SETTLE_S = 1.0
POLL_S = 0.5
ARC_SHARE = 0.8
"""A monitor below this share of its set-point, once it has settled, is an arc."""

MAX_ARCS = 10
SECONDS_PER_DAY = HOURS_PER_DAY * 3600


class XrayGeneratorDriver:
    """Drives one generator of the STX family on a serial line, or on TCP (then without checksums).

    `model` names a profile; `kv_max` and `ma_max` are the unit's own full scale where it differs. `idle_days` is how long the tube had
    been off before the station started: `switch_on` after long idleness warms or seasons it first, which takes from half a minute to hours.
    `deadline_s` bounds each request. Any error but a refusal makes the link dirty; every call then raises until `connect` has run.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        clock: Clock,
        model: str = "XRV",
        kv_max: float | None = None,
        ma_max: float | None = None,
        idle_days: float = 0.0,
        connector: Connector = open_endpoint,
        deadline_s: float = STX_DEADLINE_S,
        quiet_s: float | None = None,
        watchdog_s: int = WATCHDOG_S,
    ) -> None:
        named = profile_named(model)
        self._profile: StxProfile = replace(named, kv_max=kv_max or named.kv_max, ma_max=ma_max or named.ma_max)
        self._line = StxLine(endpoint, self._profile, device=DEVICE, connector=connector, deadline_s=deadline_s, quiet_s=quiet_s)
        self._clock = clock
        self._watchdog_s = min(max(1, watchdog_s), WATCHDOG_LONGEST_S)
        self._lock = asyncio.Lock()
        self._off_since_s = clock.monotonic_s() - idle_days * SECONDS_PER_DAY
        self._set_point = (0, 0)
        self._cold = False

    async def connect(self) -> GeneratorStatus:
        """(Re)open the line; the first command is OFF, with read-back. Then remote mode, scales and watchdog, and a first status.

        Raises:
            DeviceUnreachableError: it does not answer.
            DeviceProtocolError: it answers wrongly, does not go off, or has another full scale than configured.
        """
        async with self._lock:
            await self._line.open()
            try:
                await self._switch_off()
                await self._take_control()
                self._set_point = await self._set_points()
                return await self._status()
            except BaseException:
                self._line.spoil()
                raise

    async def _take_control(self) -> None:
        profile = self._profile
        if profile.local_bit is not None and profile.set_remote is not None and (await self._status_bits())[profile.local_bit]:
            await self._line.write(profile.set_remote, 1)
            if (await self._status_bits())[profile.local_bit]:
                self._line.reject("stays in local mode")
        if profile.get_scaling is not None:
            kv, ma, _polarity = await self._line.read(profile.get_scaling, SCALING_VALUES, highest=math.inf)
            if (kv, ma) != (profile.kv_max, profile.ma_max):
                self._line.reject(f"has {kv:g} kV and {ma:g} mA at full scale, configured are {profile.kv_max:g} and {profile.ma_max:g}")
        await self._set_watchdog()

    async def _set_watchdog(self) -> None:
        if self._profile.set_watchdog is not None:
            await self._line.write(self._profile.set_watchdog, self._watchdog_s)

    async def close(self) -> None:
        """Drop the line."""
        async with self._lock:
            await self._line.close()

    async def set_point(self, *, kv: float, ma: float) -> None:
        """Set kV and mA, each read back; raises `DeviceRefusedError` beyond the unit's full scale."""
        counts = self._counts(kv, ma)
        async with self._lock:
            await self._set_counts(counts)
            self._set_point = counts

    def _counts(self, kv: float, ma: float) -> tuple[int, int]:
        profile = self._profile
        if not (0 <= kv <= profile.kv_max and 0 <= ma <= profile.ma_max):
            raise DeviceRefusedError(
                f"{DEVICE} does at most {profile.kv_max:g} kV and {profile.ma_max:g} mA, not {kv:g} kV and {ma:g} mA",
                consequence="Nothing was sent",
            )
        return round(kv / profile.kv_max * profile.kv_counts), round(ma / profile.ma_max * profile.ma_counts)

    async def _set_counts(self, counts: tuple[int, int]) -> None:
        profile = self._profile
        await self._line.write(profile.set_kv, counts[0])
        await self._line.write(profile.set_ma, counts[1])
        kept = await self._set_points()
        if kept != counts:
            self._line.reject(f"kept the set-points {kept} instead of {counts}")

    async def _set_points(self) -> tuple[int, int]:
        profile = self._profile
        (kv,) = await self._line.read(profile.get_kv, 1, highest=profile.kv_counts)
        (ma,) = await self._line.read(profile.get_ma, 1, highest=profile.ma_counts)
        return int(kv), int(ma)

    async def switch_on(self) -> None:
        """High voltage on, read back; the unit ramps by itself. A tube that was idle for long is conditioned first.

        Raises:
            DeviceRefusedError: an interlock is open or a fault is latched; it says which.
        """
        profile = self._profile
        idle_days = (self._clock.monotonic_s() - self._off_since_s) / SECONDS_PER_DAY
        steps = conditioning_steps(idle_days=idle_days, kv_max=profile.kv_max, ma_max=profile.ma_max)
        if steps:
            # Until the plan has run to its end nothing that the tube does makes it a warm one.
            self._cold = True
            await self._condition(steps)
            self._cold = False
        async with self._lock:
            if steps:
                await self._set_counts(self._set_point)
            elif (kept := await self._set_points()) != self._set_point:
                self._line.reject(f"has the set-points {kept} instead of {self._set_point}: it restarted, or somebody else set it")
            await self._switch_on()

    async def _switch_on(self) -> None:
        # A unit that restarted before its set-points were written looks like one that did not, and has its default watchdog again.
        await self._set_watchdog()
        try:
            await self._line.write(self._profile.hv, 1)
        except DeviceRefusedError as refusal:
            names = await self._fault_names()
            if not names:
                raise
            raise self._not_on(f"{refusal.what}; {', '.join(names)}") from refusal
        on = (await self._status_bits())[self._profile.hv_on_bit]
        names = await self._fault_names()
        if not on:
            raise self._not_on(", ".join(names) or "it gives no fault; the interlock may be open")
        self._note_on()

    def _note_on(self) -> None:
        if not self._cold:
            self._off_since_s = self._clock.monotonic_s()

    def _not_on(self, why: str) -> DeviceRefusedError:
        return DeviceRefusedError(
            f"{DEVICE} did not switch its high voltage on: {why}", consequence="Nothing is scanned", remedy="Clear the fault, then reset it"
        )

    async def _condition(self, steps: tuple[TubeStep, ...]) -> None:
        """Run the steps, one back after each arc; leaves the high voltage on."""
        at = arcs = 0
        try:
            while at < len(steps) and arcs <= MAX_ARCS:
                stable = await self._hold(steps[at])
                arcs += not stable
                at = step_after(steps, at, stable=stable)
        except BaseException:
            # Neither a cancellation nor an error may leave the beam on with nobody holding the plan. Where the link is gone the unit's
            # own watchdog or the beam permit ends it, and whoever connects next begins with OFF.
            with contextlib.suppress(DeviceError):
                await self.switch_off()
            raise
        if arcs > MAX_ARCS:
            await self.switch_off()
            raise self._not_on(f"the tube arced {arcs} times while it was warmed up")

    async def _hold(self, step: TubeStep) -> bool:
        async with self._lock:
            await self._set_counts(self._counts(step.kv, step.ma))
            await self._switch_on()
        end_s = self._clock.monotonic_s() + step.hold_s
        await self._clock.sleep(min(SETTLE_S, step.hold_s))
        while (left_s := end_s - self._clock.monotonic_s()) > 0:
            status = await self.read_status()
            if not status.high_voltage_on:
                raise self._not_on(", ".join(status.fault_names) or "it went off while the tube was warmed up")
            if status.kv < ARC_SHARE * step.kv:
                return False
            await self._clock.sleep(min(POLL_S, left_s))
        return True

    async def switch_off(self) -> None:
        """High voltage off, read back; raises `DeviceProtocolError` when it stays on."""
        async with self._lock:
            await self._switch_off()

    async def _switch_off(self) -> None:
        await self._line.write(self._profile.hv, 0)
        on = (await self._status_bits())[self._profile.hv_on_bit]
        await self._fault_names()
        if on:
            self._line.reject("stays on after OFF")

    async def read_status(self) -> GeneratorStatus:
        """Read status, faults, monitors and set-points; feeds the model's watchdog where it has one."""
        async with self._lock:
            return await self._status()

    async def _status(self) -> GeneratorStatus:
        profile = self._profile
        if profile.feed_watchdog is not None:
            await self._line.write(profile.feed_watchdog)
        started_s = self._clock.monotonic_s()
        bits = await self._status_bits()
        names = await self._fault_names()
        monitors = await self._line.read(profile.get_monitors, profile.monitor_values, highest=DAC_FULL_SCALE)
        read_at_s = (started_s + self._clock.monotonic_s()) / 2
        kv_counts, ma_counts = await self._set_points()
        if bits[profile.hv_on_bit]:
            self._note_on()
        return GeneratorStatus(
            read_at_s=read_at_s,
            high_voltage_on=bits[profile.hv_on_bit],
            interlock_closed=all(bits[bit] == bool(profile.interlock_closed) for bit in profile.interlock_bits),
            kv=monitors[profile.kv_monitor] / profile.monitor_counts * profile.kv_max,
            ma=monitors[profile.ma_monitor] / profile.monitor_counts * profile.ma_max,
            kv_set=kv_counts / profile.kv_counts * profile.kv_max,
            ma_set=ma_counts / profile.ma_counts * profile.ma_max,
            fault_names=names,
        )

    async def _status_bits(self) -> tuple[bool, ...]:
        return await self._line.read_bits(self._profile.get_status, self._profile.status_values)

    async def _fault_names(self) -> tuple[str, ...]:
        profile = self._profile
        bits = await self._line.read_bits(profile.get_faults, len(profile.fault_names), reply=profile.fault_reply)
        return tuple(name for name, is_set in zip(profile.fault_names, bits, strict=True) if is_set)

    async def reset_faults(self) -> None:
        """Reset latched faults; a cause that lasts latches again. Raises `DeviceProtocolError` when the high voltage came on by it."""
        async with self._lock:
            await self._line.write(self._profile.reset_faults)
            on = (await self._status_bits())[self._profile.hv_on_bit]
            await self._fault_names()
            if on:
                self._line.reject("came on by itself when its faults were reset")
