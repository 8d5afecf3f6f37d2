"""RFC 8785 text of what facts are made of. Pure."""

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """RFC 8785 text of a value made of strings, safe integers, booleans, null, lists and ASCII-keyed objects.

    For these values `json` with sorted keys writes the very bytes that RFC 8785 asks for (a test holds it against the `rfc8785` library).
    """
    return _ENCODER.encode(value)
