"""Stands where a program that answers a station would, and answers as each question says. `python -m tests.support.odd_answers`."""

import json
import signal
import sys
from pathlib import Path

ENDS_UNLESS = "ends unless there is "


def main() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        number, _, question = line.partition(" ")
        asked = json.loads(question)
        if not isinstance(asked, str):
            asked = "hangs"
        if asked == "ends" or (asked.startswith(ENDS_UNLESS) and not Path(asked.removeprefix(ENDS_UNLESS)).exists()):
            # The next one may find that there was one before.
            if asked != "ends":
                Path(asked.removeprefix(ENDS_UNLESS)).touch()
            return
        if asked == "hangs":
            # For as long as whoever asked leaves it.
            signal.pause()
        head = {"number": int(number), "bytes": len(asked)}
        said = {
            "prints": f"42\n{json.dumps(head)}\n{asked}",
            "talks": "no answer at all\n" * 10_000,
            "no head": "[1, 2]\n",
            "stops short": f"{json.dumps(head)}\n{asked[:3]}",
        }.get(asked, f"{json.dumps(head)}\n{asked}")
        sys.stdout.write(said)
        sys.stdout.flush()
        if asked == "stops short":
            return


if __name__ == "__main__":
    main()
