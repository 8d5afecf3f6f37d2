"""Keys of a lane's device file: where each device is, and where things stand along the lane."""

from itertools import pairwise
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_STRICT = ConfigDict(extra="forbid", frozen=True)
_ALLOWED = "serial:PATH?baudrate=N (parity=N|E|O, stopbits=1|2) or tcp:HOST:PORT"
_MAX_PORT = 65535
_OPTIONS = frozenset({"baudrate", "parity", "stopbits"})


def _is_endpoint(text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind == "serial":
        path, _, query = rest.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if path and options.keys() <= _OPTIONS and options.get("baudrate", "9600").isdecimal():
            return text
    elif kind == "tcp":
        host, _, port = rest.rpartition(":")
        if host and port.isdecimal() and 0 < int(port) <= _MAX_PORT:
            return text
    raise ValueError(_ALLOWED)


Endpoint = Annotated[str, AfterValidator(_is_endpoint)]


class Generator(BaseModel):
    """The X-ray generator: its link, its command profile, the set point while scanning, and how long its tube has been off (h).

    The last counts until the station itself has seen the tube on.
    """

    model_config = _STRICT

    endpoint: Endpoint
    profile: Literal["XRV", "XRB011"]
    kv: float = Field(gt=0, le=450)
    ma: float = Field(gt=0, le=50)
    full_scale_kv: float = Field(gt=0, le=450)
    full_scale_ma: float = Field(gt=0, le=50)
    idle_hours_at_first_start: float = Field(default=24.0, ge=0)

    @model_validator(mode="after")
    def _within_scale(self) -> Self:
        if self.kv > self.full_scale_kv or self.ma > self.full_scale_ma:
            raise ValueError("kv and ma of at most full_scale_kv and full_scale_ma")
        return self


class Detector(BaseModel):
    """The line detector's two ports."""

    model_config = _STRICT

    command: Endpoint
    lines: Endpoint


class ModbusDevice(BaseModel):
    """A Modbus unit: TCP, or RTU on a serial line."""

    model_config = _STRICT

    endpoint: Endpoint
    unit: int = Field(ge=1, le=247)
    watchdog_ms: int = Field(default=1000, ge=300, le=1000)


class DisinfectionUnit(ModbusDevice):
    """The UV-C tunnel; `id` names it in certificates."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")


class Reader(BaseModel):
    """A barcode reader."""

    model_config = _STRICT

    endpoint: Endpoint


class Eyes(BaseModel):
    """Photo-eyes by their place in mm from the start of B1; the bins' eyes lie beside the belts."""

    model_config = _STRICT

    infeed: float = Field(ge=0)
    xray_in: float = Field(ge=0)
    xray_out: float = Field(ge=0)
    divert: float = Field(ge=0)
    uv_in: float = Field(ge=0)
    uv_out: float = Field(ge=0)
    gate: float = Field(ge=0)
    exit: float = Field(ge=0)


class Geometry(BaseModel):
    """Where things stand along the lane, in mm from the start of B1, and how fast the belts run."""

    model_config = _STRICT

    belt_starts_mm: tuple[float, float, float, float, float]
    eyes_mm: Eyes
    infeed_reader_mm: float = Field(ge=0)
    beam_mm: float = Field(gt=0)
    diverter_1_mm: float = Field(gt=0)
    uv_field_start_mm: float = Field(gt=0)
    uv_field_end_mm: float = Field(gt=0)
    diverter_2_mm: float = Field(gt=0)
    gate_reader_mm: float = Field(gt=0)
    gate_mm: float = Field(gt=0)
    belt_speed_mm_s: int = Field(ge=20, le=1000)
    longest_piece_mm: float = Field(gt=0, le=2000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        eyes = self.eyes_mm
        along = (eyes.infeed, eyes.xray_in, self.beam_mm, eyes.xray_out, eyes.divert, eyes.uv_in, eyes.uv_out, eyes.gate, eyes.exit)
        field = (eyes.uv_in, self.uv_field_start_mm, self.uv_field_end_mm, eyes.uv_out)
        if any(before >= after for chain in (self.belt_starts_mm, along, field) for before, after in pairwise(chain)):
            raise ValueError("places that rise along the lane: belts, eyes with the beam between, the lit field between its eyes")
        return self


class LaneFile(BaseModel):
    """The whole of a lane's device file."""

    model_config = _STRICT

    generator: Generator
    detector: Detector
    plc: ModbusDevice
    disinfection_unit: DisinfectionUnit
    infeed_reader: Reader
    gate_reader: Reader
    geometry: Geometry
