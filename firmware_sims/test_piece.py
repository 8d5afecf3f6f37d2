"""The daily test piece: steel steps, wires of known gauge, line pairs, organic and inorganic steps.

The layout is published in docs/reference/test-piece.md; the station scores it from there.
"""

from firmware_sims.body import Part, ThingBody
from firmware_sims.mail import Piece
from firmware_sims.mail_layout import Place

LENGTH_MM = 300.0
WIDTH_MM = 200.0
CARRIER_MM = 2.0
AWG_DIAMETER_MM = {24: 0.511, 26: 0.405, 30: 0.255, 32: 0.202, 36: 0.127}
STEEL_STEPS_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
STEP_LENGTH_MM = 30.0
STEEL_STRIP_FIRST_X_MM = 30.0
STEEL_STRIP_Y_MM = 40.0
STEEL_STRIP_WIDTH_MM = 40.0
PENETRATION_WIRE_MM = 1.63
WIRES_Y_MM = (70.0, 110.0)
ORGANIC_STEPS_MM = (10.0, 20.0, 30.0, 40.0)
INORGANIC_STEPS_MM = (2.0, 4.0, 6.0, 8.0)
MATERIAL_FIRST_X_MM = 30.0
ORGANIC_Y_MM = 135.0
INORGANIC_Y_MM = 170.0
THIN_METAL_MM = 0.10


def _steel() -> list[Part]:
    at = Place(x_mm=0.0, y_mm=0.0)
    parts = []
    for index, thick in enumerate(STEEL_STEPS_MM):
        x = STEEL_STRIP_FIRST_X_MM + STEP_LENGTH_MM * (index + 0.5)
        parts.append(at.slab("steel", x, STEEL_STRIP_Y_MM, STEP_LENGTH_MM, STEEL_STRIP_WIDTH_MM, thick))
    ends = (STEEL_STRIP_FIRST_X_MM, STEEL_STRIP_FIRST_X_MM + STEP_LENGTH_MM * len(STEEL_STEPS_MM))
    parts.append(
        at.wire(
            "copper",
            [(ends[0], STEEL_STRIP_Y_MM), (ends[1], STEEL_STRIP_Y_MM)],
            PENETRATION_WIRE_MM / 2,
        )
    )
    return parts


def _wires() -> list[Part]:
    at = Place(x_mm=0.0, y_mm=0.0)
    parts = []
    for index, diameter in enumerate(AWG_DIAMETER_MM.values()):
        x = 40.0 + 25.0 * index
        parts.append(at.wire("copper", [(x, WIRES_Y_MM[0]), (x, WIRES_Y_MM[1])], diameter / 2))
    for index, pitch in enumerate((6.0, 4.0, 3.0)):
        first = 170.0 + 40.0 * index
        parts += [at.slab("steel", first + pitch * bar, 90.0, pitch / 2, 40.0, 2.0) for bar in range(4)]
    return parts


def _materials() -> list[Part]:
    at = Place(x_mm=0.0, y_mm=0.0)
    parts = []
    for index, (organic, inorganic) in enumerate(zip(ORGANIC_STEPS_MM, INORGANIC_STEPS_MM, strict=True)):
        x = MATERIAL_FIRST_X_MM + STEP_LENGTH_MM * (index + 0.5)
        parts.append(at.slab("pe", x, ORGANIC_Y_MM, STEP_LENGTH_MM, 25.0, organic))
        parts.append(at.slab("aluminium", x, INORGANIC_Y_MM, STEP_LENGTH_MM, 25.0, inorganic))
    parts.append(at.slab("steel", 200.0, 152.5, 40.0, 50.0, THIN_METAL_MM))
    parts.append(at.slab("lead", 260.0, 152.5, 20.0, 20.0, 6.0))
    return parts


def draw_test_piece(*, serial: int, number: int) -> Piece:
    """The test piece `TEST-<number>`: always the same inside."""
    centre = Place(x_mm=LENGTH_MM / 2, y_mm=WIDTH_MM / 2)
    carrier = centre.slab("polycarbonate", 0, 0, LENGTH_MM, WIDTH_MM, CARRIER_MM)
    body = ThingBody(length_mm=LENGTH_MM, width_mm=WIDTH_MM, parts=(carrier, *_steel(), *_wires(), *_materials()))
    identifier = f"TEST-{number:04d}"
    return Piece(
        serial=serial,
        piece_id=identifier,
        barcode=identifier,
        kind="test",
        truth="test",
        length_mm=LENGTH_MM,
        width_mm=WIDTH_MM,
        height_mm=45.0,
        weight_g=round(body.weight_g(), 1),
        body=body,
    )
