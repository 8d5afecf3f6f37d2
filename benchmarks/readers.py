"""What 20 people at the console cost: how long they wait while 4 lanes run, and how long the lanes take then.

The same demo without them is the baseline.

Each reader logs in, keeps the stream of live events open, and asks for one list a second, in turn for those that the pages show.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx

from benchmarks.lanes import LIMIT_S, PIECES_PER_LANE, SEED, command_of, timing_of

READERS, LANES = 20, 4
EVERY_S = 1.0
_COOKIE = "__Host-kt1-session"
_LOGIN = re.compile(r"^  (demo-operator|demo-auditor|demo): (\S+)  \(")
_PAGE = re.compile(r"(http://127\.0\.0\.1:\d+)/review")


async def log_in(url: str, password: str) -> httpx.AsyncClient:
    """A client with a session of its own."""
    client = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
    answer = await client.post("/api/v1/session", json={"login": "demo", "password": password})
    given = SimpleCookie("; ".join(answer.raise_for_status().headers.get_list("set-cookie")))
    # A client that knows of no exception for the loopback never sends a Secure cookie in the open: it is sent by hand.
    client.cookies.clear()
    client.headers["Cookie"] = f"{_COOKIE}={given[_COOKIE].value}"
    return client


async def read(person: httpx.AsyncClient, number: int, waited_ms: list[float], refused: list[int]) -> None:
    """One reader, until cancelled."""
    async with contextlib.aclosing(person) as client:
        lane = f"/api/v1/lanes/lane-{number % LANES + 1}"
        asked = (lane, f"{lane}/recent", "/api/v1/reviews", "/api/v1/pieces?limit=50", "/api/v1/alarms")
        listening = asyncio.create_task(_listen(client))
        try:
            await asyncio.sleep(EVERY_S * number / READERS)
            for turn in range(10**6):
                began_s = time.perf_counter()
                found = await client.get(asked[turn % len(asked)])
                waited_ms.append((time.perf_counter() - began_s) * 1000)
                refused += [found.status_code] * (found.status_code != httpx.codes.OK)
                await asyncio.sleep(max(0.0, EVERY_S - (time.perf_counter() - began_s)))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/api/v1/events", timeout=None) as stream:
        async for _ in stream.aiter_raw():
            pass


async def watched(said: asyncio.StreamReader) -> tuple[list[float], list[int]]:
    """Read what the demo prints until it can be reached, then have it read until it ends."""
    passwords: dict[str, str] = {}
    url = ""
    while not url or not passwords:
        line = (await said.readline()).decode()
        if not line:
            raise RuntimeError("the demo ended before it began")
        if login := _LOGIN.match(line):
            passwords[login[1]] = login[2]
        if page := _PAGE.search(line):
            url = page[1]
    waited_ms: list[float] = []
    refused: list[int] = []
    # One after the other, as people do: so many passwords at once would be taken for guesses.
    people = [await log_in(url, passwords["demo"]) for _ in range(READERS)]
    readers = [asyncio.create_task(read(person, number, waited_ms, refused)) for number, person in enumerate(people)]
    try:
        while await said.read(1 << 16):
            pass
    finally:
        for reader in readers:
            reader.cancel()
        # The last answers are cut off when the station ends.
        ended = await asyncio.gather(*readers, return_exceptions=True)
    broken = [one for one in ended if isinstance(one, Exception) and not isinstance(one, httpx.TransportError)]
    if broken:
        raise broken[0]
    return waited_ms, refused


async def demo(pieces: int, *, read_it: bool) -> dict[str, Any]:
    """One demo at speed 1, with readers or without."""
    with tempfile.TemporaryDirectory(prefix="kt1-bench-") as directory:
        report = Path(directory) / "report.json"
        load = os.getloadavg()[0]
        process = await asyncio.create_subprocess_exec(
            *command_of(LANES, pieces, SEED, report),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        waited_ms: list[float] = []
        refused: list[int] = []
        try:
            async with asyncio.timeout(LIMIT_S):
                if read_it and process.stderr is not None:
                    waited_ms, refused = await watched(process.stderr)
                else:
                    await process.communicate()
                await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        found = json.loads(report.read_text(encoding="utf-8"))
    row = {"exit_code": process.returncode, "load_before": load, **timing_of(found)}
    if waited_ms:
        cuts = statistics.quantiles(waited_ms, n=100, method="inclusive")
        row |= {"answers": len(waited_ms), "refused": len(refused), "api_p50_ms": cuts[49], "api_p99_ms": cuts[98]}
    return row


def run(pieces: int = PIECES_PER_LANE) -> dict[str, Any]:
    """Both demos, and the lanes' latencies with readers as a ratio to those without."""
    alone = asyncio.run(demo(pieces, read_it=False))
    read_ = asyncio.run(demo(pieces, read_it=True))
    names = ("decision_p50_ms", "decision_p99_ms", "permit_p50_ms", "permit_p99_ms")
    ratios = {f"{name}_ratio": read_[name] / alone[name] if alone[name] else 0.0 for name in names}
    return {"readers": READERS, "lanes": LANES, "alone": alone, "read": read_, **ratios}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pieces", type=int, default=PIECES_PER_LANE, help="of each lane")
    json.dump(run(parser.parse_args().pieces), sys.stdout, indent=1)
