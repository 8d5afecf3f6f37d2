"""Puts, moves and destroys images until it is killed, and says what was acknowledged.

Usage: python -m tests.support.vault_killed DIRECTORY
"""

import itertools
import os
import sys
from datetime import timedelta
from pathlib import Path

from station.domain.piece import Secrecy
from station.domain.vault import DestructionCause, DestructionOrder
from tests.support.clocks import SetClock
from tests.support.images import raw_scan, result
from tests.support.vaults import DAY, vault

ORDER = DestructionOrder(cause=DestructionCause.RETENTION, person="", note="", policy_sha256="ab" * 32)
LEVELS = (Secrecy.A, None, Secrecy.C)
PER_DAY = 6
NEEDED = 3
"""Every so manieth image is needed for ever."""


def main() -> None:
    directory = Path(sys.argv[1])
    clock = SetClock(DAY)
    images = vault(directory / "images", clock)
    needed: set[str] = set()
    for number in itertools.count():
        sha256 = images.put(raw_scan(12, 8, seed=number), LEVELS[number % 3])
        if number % NEEDED == 0:
            needed.add(sha256)
        os.write(1, f"put {number} {sha256}\n".encode())
        images.put_views(sha256, result(number))
        images.relevel(sha256, LEVELS[number // 3 % 3])
        os.write(1, f"whole {number} {sha256}\n".encode())
        if number % PER_DAY == PER_DAY - 1:
            clock.forward(timedelta(days=1).total_seconds())
            for key in images.existing_keys():
                if key.day < clock.utc_now().date():
                    os.write(1, f"destroy {number} {key.key_id}\n".encode())
                    images.destroy(key, needed, ORDER)
                    os.write(1, f"destroyed {number} {key.key_id}\n".encode())


if __name__ == "__main__":
    main()
