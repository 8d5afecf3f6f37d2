"""Register tables as data: address, words, type, scale, unit, access; and their big-endian codec (u32 and f32 high word first).

Pure. A block is a run of registers without gaps that is read in one transaction; its values come out under the names of the map.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from station.domain.errors import DeviceProtocolError, DeviceRefusedError

FORMATS = {"u16": "H", "i16": "h", "u32": "I", "f32": "f"}
WORDS = {"u16": 1, "i16": 1, "u32": 2, "f32": 2}

Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One named register of a map.

    `kinds` are the types of one element in wire order (several for a structure), `repeat` how many elements follow each other. A value is
    raw / `divisor` in `unit`. `access`: "r" input register, "rw" holding register that reads back what was written, "w" holding
    register whose effect shows elsewhere.
    """

    address: int
    name: str
    kinds: tuple[str, ...]
    repeat: int = 1
    divisor: int = 1
    unit: str = ""
    access: str = "r"

    @property
    def words(self) -> int:
        """How many 16-bit words it takes."""
        return self.repeat * sum(WORDS[kind] for kind in self.kinds)

    @property
    def format(self) -> str:
        """Its `struct` format, without the byte order."""
        return "".join(FORMATS[kind] for kind in self.kinds) * self.repeat

    def encode(self, *values: Number) -> bytes:
        """Raw values to the bytes of one write; raises `DeviceRefusedError` when they do not fit."""
        try:
            return struct.pack(f">{self.format}", *values)
        except struct.error as error:
            what = f"{self.name} = {values} does not fit {'+'.join(self.kinds)} x {self.repeat}"
            raise DeviceRefusedError(what, consequence="Nothing was sent") from error

    def decode(self, data: bytes) -> tuple[Number, ...]:
        """The bytes of one read to raw values."""
        return struct.unpack(f">{self.format}", data)


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that follow each other without a gap, read in one transaction."""

    registers: Sequence[Register]
    _layout: struct.Struct = field(init=False, repr=False)
    _places: dict[str, slice] = field(init=False, repr=False)
    _divisors: dict[str, int] = field(init=False, repr=False)
    _reals: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check that nothing overlaps or is missing, and compile the layout."""
        at = self.registers[0].address
        places: dict[str, slice] = {}
        reals: list[int] = []
        position = 0
        for register in self.registers:
            if register.address != at:
                raise ValueError(f"{register.name} stands at {register.address}, but {at} is next")
            at += register.words
            values = register.repeat * len(register.kinds)
            places[register.name] = slice(position, position + values)
            reals += [position + index for index, kind in enumerate(register.kinds * register.repeat) if kind == "f32"]
            position += values
        object.__setattr__(self, "_layout", struct.Struct(">" + "".join(register.format for register in self.registers)))
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_reals", tuple(reals))
        object.__setattr__(self, "_divisors", {register.name: register.divisor for register in self.registers})

    @property
    def address(self) -> int:
        """First address."""
        return self.registers[0].address

    @property
    def words(self) -> int:
        """How many words one reading takes."""
        return self._layout.size // 2

    def decode(self, data: bytes) -> "Values":
        """One reading; raises `DeviceProtocolError` when it has another size or holds a float that is not a number."""
        if len(data) != self._layout.size:
            raise DeviceProtocolError(
                f"A reading of {len(data)} bytes came for a block of {self._layout.size}", consequence="It is dropped"
            )
        raw = self._layout.unpack(data)
        if not all(math.isfinite(raw[at]) for at in self._reals):
            raise DeviceProtocolError("A reading holds a value that is not a number", consequence="It is dropped")
        return Values(raw, self._places, self._divisors)


class Values:
    """One decoded block by register name; raw values, and where each register's stand among them."""

    __slots__ = ("_divisors", "_places", "_raw")

    def __init__(self, raw: tuple[Any, ...], places: Mapping[str, slice], divisors: Mapping[str, int]) -> None:
        self._raw = raw
        self._places = places
        self._divisors = divisors

    def one(self, name: str) -> int:
        """A single integer."""
        (value,) = self._raw[self._places[name]]
        return int(value)

    def real(self, name: str) -> float:
        """A single float."""
        (value,) = self._raw[self._places[name]]
        return float(value)

    def scaled(self, name: str) -> float:
        """A single value in its unit."""
        return self.real(name) / self._divisors[name]

    def many(self, name: str) -> tuple[int, ...]:
        """All integers of an array or structure in wire order."""
        values: tuple[int, ...] = self._raw[self._places[name]]
        return values

    def rows(self, name: str, width: int) -> list[tuple[int, ...]]:
        """An array of structures, `width` values each."""
        flat = self.many(name)
        return [flat[start : start + width] for start in range(0, len(flat), width)]
