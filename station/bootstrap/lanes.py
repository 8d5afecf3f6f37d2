"""A lane's drivers, measures and numbers out of its configuration."""

from station.bootstrap.recipes import lane_recipe
from station.disinfect.clock_pairing import JUMP_MS
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.clock import Clock
from station.ports.lane_devices import LaneDevices
from station.ports.lane_plc import Eye
from station.settings import LaneConfiguration
from station.workflow.equipment import LaneSettings
from station.workflow.geometry import LaneGeometry


def lane_geometry(lane: LaneConfiguration) -> LaneGeometry:
    """The workflow's geometry out of a lane's file."""
    given = lane.devices.geometry
    eyes = {Eye[name.upper()]: place_mm for name, place_mm in given.eyes_mm.model_dump().items()}
    return LaneGeometry(
        belt_starts_mm=given.belt_starts_mm,
        eyes_mm=eyes,
        infeed_reader_mm=given.infeed_reader_mm,
        beam_mm=given.beam_mm,
        diverter_1_mm=given.diverter_1_mm,
        uv_field_start_mm=given.uv_field_start_mm,
        uv_field_end_mm=given.uv_field_end_mm,
        diverter_2_mm=given.diverter_2_mm,
        gate_reader_mm=given.gate_reader_mm,
        gate_mm=given.gate_mm,
        belt_speed_mm_s=given.belt_speed_mm_s,
        longest_piece_mm=given.longest_piece_mm,
    )


def lane_devices(lane: LaneConfiguration, clock: Clock, *, idle_days: float) -> LaneDevices:
    """The drivers of a lane's devices; nothing is opened yet. `idle_days` is how long its tube has been off (NaN: the worst)."""
    given = lane.devices
    return LaneDevices(
        plc=LanePlcDriver(given.plc.endpoint, given.plc.unit, clock=clock, watchdog_ms=given.plc.watchdog_ms),
        generator=XrayGeneratorDriver(
            given.generator.endpoint,
            clock=clock,
            model=given.generator.profile,
            kv_max=given.generator.full_scale_kv,
            ma_max=given.generator.full_scale_ma,
            idle_days=idle_days,
        ),
        detector=LineDetectorDriver(given.detector.command, given.detector.lines),
        unit=DisinfectionUnitDriver(
            given.disinfection_unit.endpoint,
            given.disinfection_unit.unit,
            clock=clock,
            watchdog_ms=given.disinfection_unit.watchdog_ms,
        ),
        infeed_reader=BarcodeReaderDriver(given.infeed_reader.endpoint, clock=clock, name="The infeed barcode reader"),
        gate_reader=BarcodeReaderDriver(given.gate_reader.endpoint, clock=clock, name="The gate barcode reader"),
    )


def lane_settings(lane: LaneConfiguration, speed: float) -> LaneSettings:
    """A lane's numbers out of its file."""
    return LaneSettings(
        lane_id=lane.lane_id,
        kv=lane.devices.generator.kv,
        ma=lane.devices.generator.ma,
        recipe=lane_recipe(lane.recipe),
        unit_id=lane.devices.disinfection_unit.id,
        geometry=lane_geometry(lane),
        clock_jump_ms=JUMP_MS * max(1.0, speed),
    )
