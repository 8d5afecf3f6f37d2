"""Stands where the program that makes reports would: answers once, and is gone. `python -m tests.support.report_answers`."""

import json
import sys

if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    if asked["clearance"] == "C":
        sys.stdout.write("no answer at all\n")
    elif asked["clearance"] == "B":
        # Hangs for as long as whoever asked leaves it.
        sys.stdin.read()
    else:
        sys.stdout.write('{"bytes": 4}\nmade')
