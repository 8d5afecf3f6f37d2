import hashlib

import numpy as np

from firmware_sims.mail import THREAT_SHARES, draw_mail, draw_piece

FIRST_GENERATION = "e26db522ff268622f4e8a1f0321c69c4213b7e07fface9e4bfaefdc516c91490"


def test_the_first_generation_still_draws_the_same():
    # The shipped model, its calibration, the demo and the campaign stand on these pieces. The digest is older than the second generation.
    pieces = draw_mail(np.random.default_rng(2026), 16)
    for kind, shares in THREAT_SHARES.items():
        for threat in (None, *shares):
            rng = np.random.default_rng([7, len(kind), len(threat or "")])
            pieces.append(draw_piece(rng, serial=1, piece_id="X", kind=kind, threat_kind=threat))
    total = hashlib.sha256()
    for one in pieces:
        sizes = (one.length_mm, one.width_mm, one.height_mm, one.weight_g)
        cover = (one.secrecy, one.urgency, one.destination, one.sender_unit)
        total.update(repr((one.piece_id, one.kind, one.threat_kind, *sizes, *cover)).encode())
        seen = one.body.transmission(tube_kv=160.0, line_mm=3.2, pixel_mm=3.2)
        total.update(np.round(seen * 65535).astype(np.uint16).tobytes())
    assert total.hexdigest() == FIRST_GENERATION
