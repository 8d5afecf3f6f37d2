"""`python -m benchmarks`: run every measurement and write the page of figures."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import certificates, lanes, line_detector, modbus, readers, screening, store, stx, tracking, vault

MICRO: dict[str, Callable[[], dict[str, Any]]] = {
    "modbus": modbus.run,
    "stx": stx.run,
    "line_detector": line_detector.run,
    "store": store.run,
    "certificates": certificates.run,
    "tracking": tracking.run,
    "vault": vault.run,
    "screening": screening.run,
}

QUIET_LOAD = 0.5
HEAD = """# Benchmarks

Written by `make bench`. Each figure stands beside its baseline of the same run; the ratios mean something on other machines too, the
figures do not. A machine that does other work at the same time makes latencies longer; the load tells.
""".splitlines()

PARTS_HEAD = """## Parts

| part | station | baseline | ratio | wanted |
|---|---|---|---|---|""".splitlines()

LANES_HEAD = """Whole demos over real ptys and sockets at speed 1, each lane's simulators in a process of their own on the same machine;
scripted people decide about held pieces. In brackets the ratio to one lane. Belt speed allows 900 pieces an hour and lane; pieces
that are held and fed in again, and the wait for the last ones, count against it. Cores: busy ones, simulators included. At 2 lanes a
decision's p99 should be below 300 ms and a permit's below 50 ms.

| lanes | pieces | decision p50 | decision p99 | permit p50 | permit p99 | pieces/h | of belt | cores | load |
|---|---|---|---|---|---|---|---|---|---|""".splitlines()


def machine() -> str:
    """The machine in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def page(found: dict[str, Any]) -> str:
    """The page of figures."""
    load = f"Load over one minute: {found['load_before']:.1f} before, {found['load_after']:.1f} after (of {os.cpu_count()} cores)."
    if found["load_before"] > QUIET_LOAD:
        load += " **The machine was busy with other work: latencies are longer, and throughput lower, than on a quiet one.**"
    parts = [*HEAD, "", f"{found['date']}. {found['machine']}. {load}", "", *PARTS_HEAD, *_parts(found)]
    if "lanes" in found:
        parts += ["", "## Lanes", "", *_lanes(found["lanes"])]
    if "readers" in found:
        parts += ["", "## Readers", "", *_readers(found["readers"])]
    return "\n".join(parts) + "\n"


def _readers(it: dict[str, Any]) -> list[str]:
    alone, read = it["alone"], it["read"]
    rows = [
        f"| {what} | {read[name]:.1f} ms | {alone[name]:.1f} ms | {it[name + '_ratio']:.2f} | {wanted} |"
        for name, what, wanted in (
            ("decision_p50_ms", "decision p50", "–"),
            ("decision_p99_ms", "decision p99", "≤ 1.20"),
            ("permit_p50_ms", "permit p50", "–"),
            ("permit_p99_ms", "permit p99", "≤ 1.20"),
        )
    ]
    return [
        f"{it['lanes']} lanes at speed 1 with {it['readers']} people at the console, each with the live stream open and one list a second,",
        f"beside the same demo without them. Of {read['answers']} answers {read['refused']} were refusals;",
        f"p50 {read['api_p50_ms']:.0f} ms, p99 {read['api_p99_ms']:.0f} ms.",
        "",
        "| | with readers | without | ratio | wanted |",
        "|---|---|---|---|---|",
        *rows,
    ]


def _parts(found: dict[str, Any]) -> list[str]:
    rows = []
    if "modbus" in found:
        it = found["modbus"]
        rows.append(
            f"| Modbus TCP, 10 registers a request | {it['station_per_s']:.0f}/s, p99 {it['station_p99_ms']:.2f} ms"
            f" | bare pymodbus {it['pymodbus_per_s']:.0f}/s, p99 {it['pymodbus_p99_ms']:.2f} ms | {it['ratio']:.2f} | ≥ 0.70 |"
        )
    if "stx" in found:
        it = found["stx"]
        rows.append(
            f"| STX over a pty, the monitors | {it['station_per_s']:.0f}/s | bare loop {it['bare_per_s']:.0f}/s | {it['ratio']:.2f} | – |"
        )
    if "line_detector" in found:
        it = found["line_detector"]
        rows.append(
            f"| line detector, {it['lines_per_s']:.0f} lines/s of {it['pixels']} pixels, 2 energies"
            f" | {it['cpu_share_of_a_core']:.0%} of a core; at most {it['most_lines_per_s']:.0f} lines/s; {it['lost']} lost"
            f" | the same bytes thrown away: {it['cpu_share_of_a_core'] / it['cpu_ratio_to_discarding']:.0%} of a core"
            f" | {it['cpu_ratio_to_discarding']:.2f} | – |"
        )
    if "store" in found:
        it = found["store"]
        callers = it["callers"]
        rows.append(
            f"| durable facts, {callers} callers | {it['store_facts_per_s']}/s | plain SQLAlchemy Core with group commit"
            f" {it['plain_core_facts_per_s']}/s | {it['store_to_plain_core']:.2f} | ≥ 0.50 |"
        )
        rows.append(
            f"| durable facts, {callers} callers | {it['store_facts_per_s']}/s | bare sqlite3, one commit each"
            f" {it['bare_sqlite_commits_per_s']}/s | {it['store_to_bare_sqlite']:.2f} | – |"
        )
    if "certificates" in found:
        it = found["certificates"]
        bare = f"bare Ed25519 checks of {it['bytes'] / 1024:.0f} KiB {it['bare_verified_per_s']}/s"
        for what, name in (("made, each checked before it is given", "issued"), ("checked from the file", "verified")):
            rows.append(f"| certificates {what} | {it[name + '_per_s']}/s | {bare} | {it[name + '_to_bare']:.3f} | – |")
    if "tracking" in found:
        it = found["tracking"]
        rows.append(
            f"| events to the tracking receiver, {it['at_a_time']} pieces at a time, each receipted | {it['relay_per_s']}/s"
            f" | bare httpx posts of the same bodies {it['bare_per_s']}/s | {it['ratio']:.2f} | – |"
        )
    if "vault" in found:
        it = found["vault"]
        rows.append(
            f"| image vault: a {it['scan_mb']:.0f} MB scan, packed to {it['packed_share']:.2f} of it, sealed and opened in memory"
            f" | {it['seal_mb_per_s']:.0f} MB/s"
            f" | bare AES-256-GCM on the same bytes {it['bare_packed_mb_per_s']:.0f} MB/s | {it['seal_ratio']:.2f} | ≥ 0.80 |"
        )
        rows.append(
            f"| image vault: a scan put, with hashes, packing, key and flush | {it['put_mb_per_s']:.0f} MB/s"
            f" | bare AES-256-GCM encrypting the counts {it['bare_encrypt_mb_per_s']:.0f} MB/s | {it['put_ratio']:.3f} | – |"
        )
        rows.append(
            f"| image vault: a scan read | {it['read_mb_per_s']:.0f} MB/s"
            f" | bare AES-256-GCM decrypting the counts {it['bare_decrypt_mb_per_s']:.0f} MB/s | {it['read_ratio']:.3f} | – |"
        )
    if "screening" in found:
        it = found["screening"]
        rows.append(
            f"| one scan through the model process, with correction, findings and pictures"
            f" | p50 {it['station_p50_ms']:.1f} ms, p99 {it['station_p99_ms']:.1f} ms"
            f" | the bare runtime on the same channels, p50 {it['bare_p50_ms']:.1f} ms | {it['ratio']:.1f} | – |"
        )
        rows.append(
            f"| a covered scan of {screening.LARGE_LINES} × {screening.LARGE_PIXELS} × 2 ({it['large_cells']:.0f} cells)"
            f" on each of two lanes at the same moment | p50 {it['large_p50_ms']:.0f} ms, p99 {it['large_p99_ms']:.0f} ms"
            f" | the bare runtime on both at once, p99 {it['large_bare_p99_ms']:.0f} ms"
            f" | {it['large_p99_ms'] / it['large_bare_p99_ms']:.1f} | p99 < 300 ms |"
        )
        rows.append(f"| … and the memory of the model's process | at most {it['worker_most_mb']:.0f} MB | – | – | < 600 MB |")
        rows.append(
            "| … and the station's session alone, one scan after the other | – | the bare runtime in the same process"
            f" | {it['inference_ratio']:.2f} | ≤ 1.30 |"
        )
    return rows


def _lanes(rows: list[dict[str, Any]]) -> list[str]:
    text = [*LANES_HEAD]
    for row in rows:

        def figure(name: str, unit: str = "", digits: int = 0, row: dict[str, Any] = row) -> str:
            return f"{row[name]:.{digits}f}{unit} ({row[name + '_to_one']:.2f})"

        text.append(
            f"| {row['lanes']} | {row['pieces']} | {figure('decision_p50_ms', ' ms')} | {figure('decision_p99_ms', ' ms')}"
            f" | {figure('permit_p50_ms', ' ms', 1)} | {figure('permit_p99_ms', ' ms', 1)} | {figure('pieces_per_hour')}"
            f" | {row['share_of_belt_speed']:.0%} | {figure('cores_used', '', 1)} | {row['load_before']:.1f} |"
        )
    return text


def main() -> int:
    """Measure what was asked for; 1 when a demo of it saw something unsafe."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    whole: dict[str, Callable[..., Any]] = {"lanes": lanes.run, "readers": readers.run}
    parser.add_argument("--only", nargs="+", choices=[*MICRO, *whole], default=[*MICRO, *whole])
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page of figures")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="every figure as JSON")
    parser.add_argument("--pieces", type=int, default=lanes.PIECES_PER_LANE, help="of each lane")
    given = parser.parse_args()
    found: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),  # noqa: TID251 - the page tells the day
        "machine": machine(),
        "load_before": os.getloadavg()[0],
    }
    for name in given.only:
        began_s = time.perf_counter()
        found[name] = MICRO[name]() if name in MICRO else whole[name](pieces=given.pieces)
        print(f"{name}: {time.perf_counter() - began_s:.0f} s", json.dumps(found[name]), file=sys.stderr)  # noqa: T201 - progress
    found["load_after"] = os.getloadavg()[0]
    if given.keep is not None:
        given.keep.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.write is not None:
        given.write.write_text(page(found), encoding="utf-8")
    else:
        print(page(found))  # noqa: T201 - its answer
    demos = [*found.get("lanes", []), *(found["readers"][one] for one in ("alone", "read") if "readers" in found)]
    return int(any(row["exit_code"] for row in demos))


if __name__ == "__main__":
    sys.exit(main())
