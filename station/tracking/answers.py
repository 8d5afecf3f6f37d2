"""What a server's reply says to an attempt: its status, its problem, when to come again. Pure."""

import json

from station.ports.tracking import Answer, Reply

_FIRST_ERROR = 400
_MOST_DIGITS = 9
_LONGEST_PROBLEM = 100


def answer_of(reply: Reply) -> Answer:
    """The reply as an answer; members that are not what they must be do not count."""
    problem, expected = None, None
    if reply.status >= _FIRST_ERROR:
        try:
            members = json.loads(reply.text)
        except (ValueError, RecursionError):
            members = None
        if isinstance(members, dict):
            told = members.get("type")
            # It is stored and shown.
            problem = told if isinstance(told, str) and told.isprintable() and len(told) <= _LONGEST_PROBLEM else None
            expected = members["expected_sequence"] if type(members.get("expected_sequence")) is int else None
    later = reply.headers.get("retry-after", "")
    seconds = float(later) if later.isascii() and later.isdigit() and len(later) <= _MOST_DIGITS else None
    return Answer(status=reply.status, body=reply.text, problem=problem, expected_sequence=expected, retry_after_s=seconds)
