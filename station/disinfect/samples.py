"""Irradiance over time, put together from successive readings of a unit that shows only its newest twenty samples."""

from dataclasses import dataclass

from station.ports.disinfection_unit import UnitStatus

SAMPLE_MS = 100
"""Sample n is taken at unit uptime n x 100 ms (contract: disinfection unit registers, `sample_seq`)."""

_COMMON_MS = 1 << 18
"""The uptime wraps at 2^32 ms, the sample number at 2^16 x 100 ms = 25 x 2^18 ms: whatever has wrapped, the two agree modulo 2^18 ms."""

_NEWEST_AGE_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The least sensor's reading at one moment of the unit's own uptime."""

    uptime_ms: int
    uw_per_cm2: int


class SampleCollector:
    """Collects samples by their moment. What is contradictory or implausible is left out, and so counts as missing.

    A reboot of the unit, or an uptime that goes back (it wraps after 49.7 days), drops everything: samples of two countings never mix.
    """

    def __init__(self, keep_ms: int = 600_000) -> None:
        self._keep_ms = keep_ms
        self._boot: int | None = None
        self._uptime_ms = 0
        self._values: dict[int, int] = {}
        self._contradicted: set[int] = set()

    def add(self, status: UnitStatus) -> None:
        """Take over the samples of one untorn reading."""
        if status.boot_count != self._boot or status.uptime_ms < self._uptime_ms:
            self._boot = status.boot_count
            self._values.clear()
            self._contradicted.clear()
        self._uptime_ms = status.uptime_ms
        newest_ms = newest_sample_ms(status)
        if newest_ms is None:
            return
        for age, value in enumerate(reversed(status.samples_uw_per_cm2)):
            at_ms = newest_ms - age * SAMPLE_MS
            if at_ms >= 0 and self._values.setdefault(at_ms, value) != value:
                self._contradicted.add(at_ms)
        if len(self._values) > self._keep_ms // SAMPLE_MS + 1:
            for at_ms in [at_ms for at_ms in self._values if at_ms < newest_ms - self._keep_ms]:
                del self._values[at_ms]
                self._contradicted.discard(at_ms)

    def between(self, start_ms: float, end_ms: float) -> tuple[Sample, ...]:
        """Samples whose 100 ms touch the span, in order of time; gaps stay gaps."""
        reach = SAMPLE_MS / 2
        return tuple(
            Sample(uptime_ms=at_ms, uw_per_cm2=value)
            for at_ms, value in sorted(self._values.items())
            if at_ms not in self._contradicted and start_ms - reach < at_ms < end_ms + reach
        )


def newest_sample_ms(status: UnitStatus) -> int | None:
    """The uptime at which the newest sample was taken; negative just after a wrap, None when number and uptime contradict each other."""
    age_ms = (status.uptime_ms - status.sample_seq * SAMPLE_MS) % _COMMON_MS
    return status.uptime_ms - age_ms if age_ms // SAMPLE_MS <= _NEWEST_AGE_SAMPLES else None
