"""Writes facts from many threads and says which ones the store acknowledged, until it is killed.

Usage: python -m tests.support.store_killed DIRECTORY
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

from station.domain.events import PieceStatus
from station.domain.piece import PieceState
from tests.support.store_facts import announcement, at, event, opened, permit

STEPS = ((PieceState.ARRIVED, PieceStatus.ARRIVED), (PieceState.SCANNING, None), (PieceState.SCANNED, PieceStatus.SCREENED))


def live(store: Any, worker: int) -> None:
    """Pieces of one worker, one after another; each line on stdout is one acknowledged commit: piece, state, permits, number."""
    for number in range(10**6):
        piece_id = f"W{worker}-{os.getpid()}-{number}"
        store.write(lambda unit, p=piece_id: unit.announce(announcement(p), at())).result()
        for step, (state, status) in enumerate(STEPS):

            def work(unit: Any, p: str = piece_id, s: PieceState = state, t: PieceStatus | None = status, n: int = step) -> int:
                unit.change_state(p, s, at(n), lane_id="1", visit=1)
                unit.append(permit(p, n))
                if t is not None:
                    unit.publish(event(p, t, n))
                return unit.next_number("done")

            done = store.write(work).result()
            os.write(1, f"{piece_id} {state.value} {step + 1} {done}\n".encode())


def main() -> None:
    with opened(Path(sys.argv[1])) as store:
        threads = [threading.Thread(target=live, args=(store, worker), daemon=True) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
