"""A worker that loads well and then lies; how is told by the site's name in the first request."""

import json
import socket
import struct
import sys
from typing import Any

INFO = {
    "sha256": "a" * 64,
    "name": "liar",
    "calibration_n": 800,
    "freeze_score": None,
    "proved": True,
    "why_not_proved": "",
    "calibration_sha256": "",
}
NUMBERS = {"score": 0.0, "threshold": 1.0, "p_value": 1.0, "length_mm": 1.0, "width_mm": 1.0, "duration_ms": 1.0}
RESULT = {"model_sha256": "a" * 64, "calibration_n": 800, "findings": [], "model_findings": [], **NUMBERS}
PICTURES = [
    {"name": "heat_map", "type": "uint8", "shape": [2, 2], "at": 0},
    {"name": "fingerprint", "type": "float32", "shape": [2, 2], "at": 64},
    {"name": "view_png", "type": "uint8", "shape": [0], "at": 0},
    {"name": "heat_png", "type": "uint8", "shape": [0], "at": 0},
]


def framed(value: Any) -> bytes:
    data = json.dumps(value).encode()
    return struct.pack(">I", len(data)) + data


LIES: dict[str, bytes] = {
    "no json": struct.pack(">I", 4) + b"nope",
    "no object": framed([1, 2]),
    "enormous": struct.pack(">I", 0xFFFFFFFF),
    "cut": struct.pack(">I", 100) + b"{",
    "nothing in it": framed({}),
    "score is no number": framed({"result": {**RESULT, "score": float("nan")}, "arrays": PICTURES}),
    "score is text": framed({"result": {**RESULT, "score": "0.0"}, "arrays": PICTURES}),
    "another model": framed({"result": {**RESULT, "model_sha256": "b" * 64}, "arrays": PICTURES}),
    "arrays outside": framed({"result": RESULT, "arrays": [{**PICTURES[0], "at": 1 << 40}]}),
    "a side without end": framed({"result": RESULT, "arrays": [{**PICTURES[0], "shape": [0, 10**30]}]}),
    "a hundred sides": framed({"result": RESULT, "arrays": [{**PICTURES[0], "shape": [1] * 100}]}),
    "no pictures": framed({"result": RESULT, "arrays": []}),
    "unknown finding": framed({"result": {**RESULT, "findings": [{"reason": "x", "box": None}]}, "arrays": PICTURES}),
    "truth": framed({"result": RESULT, "arrays": PICTURES}),
}


def receive(pipe: socket.socket) -> dict[str, Any] | None:
    prefix = pipe.recv(4, socket.MSG_WAITALL)
    if len(prefix) < 4:
        return None
    answer: dict[str, Any] = json.loads(pipe.recv(struct.unpack(">I", prefix)[0], socket.MSG_WAITALL))
    return answer


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as pipe:
        loaded = receive(pipe)
        if loaded is None:
            return
        pipe.sendall(framed({"info": INFO}))
        while receive(pipe) is not None:
            lie = loaded["site"]
            pipe.sendall(LIES[lie])
            if lie == "cut":
                return


if __name__ == "__main__":
    main()
