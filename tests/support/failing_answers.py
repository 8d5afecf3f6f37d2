"""Answers with what it is asked, and fails at what is long. `python -m tests.support.failing_answers`."""

import json

from station.bootstrap.program_apart import answer_questions

MOST = 100


def _answer(line: bytes) -> bytes:
    asked: str = json.loads(line)
    if len(asked) > MOST:
        raise ValueError(asked)
    return asked.encode()


if __name__ == "__main__":
    answer_questions(_answer)
