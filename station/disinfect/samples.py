"""Irradiance over time, put together from successive readings of a unit that shows only its newest twenty samples."""

from dataclasses import dataclass

from station.ports.disinfection_unit import UnitStatus

SAMPLE_MS = 100
"""Sample n is taken at unit uptime n x 100 ms (contract: disinfection unit registers, `sample_seq`)."""

_SEQ_WRAP = 0x1_0000
_NEWEST_AGE_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The least sensor's reading at one moment of the unit's own uptime."""

    uptime_ms: int
    uw_per_cm2: int


class SampleCollector:
    """Collects samples by their number. What is contradictory or implausible is left out, and so counts as missing.

    A reboot of the unit drops everything: samples of two lives of a unit never mix.
    """

    def __init__(self, keep_ms: int = 600_000) -> None:
        self._keep = keep_ms // SAMPLE_MS
        self._boot: int | None = None
        self._values: dict[int, int] = {}
        self._contradicted: set[int] = set()

    def add(self, status: UnitStatus) -> None:
        """Take over the samples of one untorn reading."""
        if status.boot_count != self._boot:
            self._boot = status.boot_count
            self._values.clear()
            self._contradicted.clear()
        newest = newest_sample_number(status)
        if newest is None:
            return
        oldest = newest - len(status.samples_uw_per_cm2) + 1
        for number, value in enumerate(status.samples_uw_per_cm2, start=oldest):
            if number >= 0 and self._values.setdefault(number, value) != value:
                self._contradicted.add(number)
        if len(self._values) > self._keep + 1:
            for number in [number for number in self._values if number < newest - self._keep]:
                del self._values[number]
                self._contradicted.discard(number)

    def between(self, start_ms: float, end_ms: float) -> tuple[Sample, ...]:
        """Samples whose 100 ms touch the span, in order of time; gaps stay gaps."""
        reach = SAMPLE_MS / 2
        return tuple(
            Sample(uptime_ms=number * SAMPLE_MS, uw_per_cm2=value)
            for number, value in sorted(self._values.items())
            if number not in self._contradicted and start_ms - reach < number * SAMPLE_MS < end_ms + reach
        )


def newest_sample_number(status: UnitStatus) -> int | None:
    """The full number behind the wrapping `sample_seq`, found by the uptime; None when the two contradict each other."""
    now = status.uptime_ms // SAMPLE_MS
    behind = (now - status.sample_seq) % _SEQ_WRAP
    return now - behind if behind <= _NEWEST_AGE_SAMPLES else None
