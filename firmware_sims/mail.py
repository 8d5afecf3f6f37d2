"""Seeded mail: the pieces that arrive at a station, with what is printed on them and what is inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from firmware_sims import mail_catalogue, mail_wrappings
from firmware_sims.mail_covers import BELT_WIDTH_MM, LONGEST_MM, PACKERS, Packed
from firmware_sims.mail_layout import Rng, between, chance, pick
from firmware_sims.xray_physics import Body

GENERATOR_VERSION = 1
"""The generation that is drawn where none is asked for: the shipped model is calibrated on it. Figures measured on pieces name theirs."""
NEWEST_GENERATION = 2
"""Frozen: whatever would draw other pieces from the same seed is a generation of its own."""

S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
KIND_SHARES = {"envelope": 0.45, "packet": 0.25, "document_parcel": 0.12, "small_parcel": 0.18}
THREAT_SHARES = {
    "envelope": {"blade": 2.0, "powder": 2.0, "bomb": 1.5, "shield": 0.8},
    "packet": {"blade": 2.0, "powder": 1.5, "bomb": 1.8, "handgun": 0.7, "shield": 1.0, "dense_liquid": 0.5},
    "document_parcel": {"blade": 1.5, "handgun": 1.5, "bomb": 1.5, "shield": 1.0, "powder": 0.8},
    "small_parcel": {
        "blade": 1.5,
        "handgun": 1.8,
        "bomb": 1.8,
        "powder": 1.2,
        "dense_liquid": 1.8,
        "shield": 1.0,
    },
}
THREAT_SHARE = 0.2
WEIGHED_AT_MM = {1: 1.0, 2: 4.0}
"""Pitch of the maps that a piece of each generation is weighed from."""
DESTINATIONS = ("VPTW", "VPQH", "VPCTN", "VPCP", "BBT", "BCT")
SENDERS = ("BCA", "BQP", "BNG", "BTC", "BTP", "UBND-HN", "UBND-HCM", "TU-DN", "TU-HP", "TANDTC", "VKSNDTC", "NHNN")


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What one generation draws: shares of kinds, weights of forbidden things by kind, the packers of all kinds."""

    kind_shares: Mapping[str, float]
    threat_shares: Mapping[str, Mapping[str, float]]
    packers: Mapping[str, Callable[[Rng, str | None], Packed]]


GENERATIONS = {
    1: Generation(kind_shares=KIND_SHARES, threat_shares=THREAT_SHARES, packers=PACKERS),
    2: Generation(kind_shares=mail_catalogue.KIND_SHARES, threat_shares=mail_catalogue.THREAT_SHARES, packers=mail_wrappings.PACKERS),
}


@dataclass(kw_only=True, slots=True)
class Piece:
    """One piece of mail, with the truth about it.

    `length_mm` lies along the belt. `barcode` is what is printed; None cannot be read. `kind` is envelope, packet,
    document_parcel, small_parcel, baggage_like, image or test; `truth` benign, threat or test; `threat_kind` names the forbidden
    thing. `secrecy` is None, A, B or C; `urgency` None, hoa_toc or hen_gio.
    """

    serial: int
    piece_id: str
    barcode: str | None
    kind: str
    truth: str
    length_mm: float
    width_mm: float
    height_mm: float
    weight_g: float
    body: Body
    threat_kind: str | None = None
    secrecy: str | None = None
    urgency: str | None = None
    destination: str = "VPTW"
    sender_unit: str = "BCA"
    image_source: str | None = None


def s10_check_digit(serial: str) -> int:
    """Check digit of the eight digits of a UPU S10 identifier (UPU standard S10-12)."""
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(serial, S10_WEIGHTS, strict=True)) % 11
    return {10: 0, 11: 5}.get(rest, rest)


def s10(serial: int, *, service: str = "EE", country: str = "VN") -> str:
    """A whole S10 identifier of 13 characters from a number below 10⁸."""
    digits = f"{serial % 100_000_000:08d}"
    return f"{service}{digits}{s10_check_digit(digits)}{country}"


def draw_piece(
    rng: Rng,
    *,
    serial: int,
    piece_id: str,
    threat_kind: str | None = None,
    kind: str | None = None,
    generation: int = GENERATOR_VERSION,
) -> Piece:
    """One piece of `kind` (drawn when None) with or without a forbidden thing.

    Raises:
        KeyError: an unknown kind, threat or generation.
    """
    drawn = GENERATIONS[generation]
    if kind is None:
        fitting = [name for name in drawn.kind_shares if threat_kind is None or threat_kind in drawn.threat_shares[name]]
        kind = pick(rng, fitting, [drawn.kind_shares[name] for name in fitting])
    packed = drawn.packers[kind](rng, threat_kind)
    secrecy = pick(rng, ("C", "B", "A"), (0.6, 0.3, 0.1)) if chance(rng, 0.1) else None
    urgency = pick(rng, ("hoa_toc", "hen_gio")) if chance(rng, 0.12) else None
    return Piece(
        serial=serial,
        piece_id=piece_id,
        barcode=piece_id,
        kind=kind,
        truth="benign" if threat_kind is None else "threat",
        length_mm=round(min(packed.body.length_mm, LONGEST_MM), 1),
        width_mm=round(min(packed.body.width_mm, BELT_WIDTH_MM), 1),
        height_mm=round(packed.height_mm, 1),
        weight_g=round(packed.body.weight_g(step_mm=WEIGHED_AT_MM[generation]) + between(rng, 0.0, 2.0), 1),
        body=packed.body,
        threat_kind=threat_kind,
        secrecy=secrecy,
        urgency=urgency,
        destination=pick(rng, DESTINATIONS),
        sender_unit=pick(rng, SENDERS),
    )


def draw_mail(
    rng: Rng, count: int, *, first_serial: int = 1, threat_share: float = THREAT_SHARE, generation: int = GENERATOR_VERSION
) -> list[Piece]:
    """`count` pieces with valid, distinct S10 identifiers; about `threat_share` of them carry something forbidden.

    The number of threats is exact (rounded) and their order is drawn, so that every run has both.
    """
    drawn = GENERATIONS[generation]
    threats = [True] * round(count * threat_share) + [False] * (count - round(count * threat_share))
    order = rng.permutation(count)
    numbers = _distinct_numbers(rng, count)
    pieces = []
    for index in range(count):
        kind = pick(rng, list(drawn.kind_shares), list(drawn.kind_shares.values()))
        threat_kind = None
        if threats[int(order[index])]:
            shares = drawn.threat_shares[kind]
            threat_kind = pick(rng, list(shares), list(shares.values()))
        pieces.append(
            draw_piece(
                rng,
                serial=first_serial + index,
                piece_id=s10(numbers[index]),
                threat_kind=threat_kind,
                kind=kind,
                generation=generation,
            )
        )
    return pieces


def _distinct_numbers(rng: Rng, count: int) -> Sequence[int]:
    numbers: dict[int, None] = {}
    while len(numbers) < count:
        numbers[int(rng.integers(10_000_000, 100_000_000))] = None
    return list(numbers)
