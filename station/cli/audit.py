"""`station audit verify|checkpoint`."""

import json
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from station.audit.findings import Fault, Finding, Report
from station.bootstrap.audit import AuditFiles, audit_files, newest_checkpoint, read_keys, verify_log
from station.cli.errors import EXIT_DOES_NOT_HOLD
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.output import put_file
from station.cli.progress import bar
from station.settings import load

app = typer.Typer(no_args_is_help=True, help="Nhật ký kiểm toán / the audit log.")

DatabaseOption = Annotated[Path | None, typer.Option("--database", metavar="FILE", help="A copy of station.db to check.")]

FAULTS: MappingProxyType[Fault, str] = MappingProxyType(
    {
        Fault.FACT_CHANGED: "bản ghi đã bị sửa / facts changed",
        Fault.FACT_MISSING: "mất bản ghi / facts missing",
        Fault.FACT_MISPLACED: "bản ghi sai chỗ / facts out of place",
        Fault.LEAF_MISSING: "mất lá / leaves missing",
        Fault.BEYOND_THE_END: "hàng thừa sau cuối nhật ký / rows beyond the log's end",
        Fault.OUT_OF_ORDER: "hàng sai thứ tự / rows out of order",
        Fault.ROOT_DIFFERS: "gốc không khớp; ít nhất một lá sai trong số này / the root differs; at least one of these leaves is wrong",
        Fault.HEAD_DAMAGED: "phần đầu nhật ký bị hỏng / the log's head is damaged",
        Fault.UNSIGNED: "không có chữ ký nào còn giá trị / no signature holds",
        Fault.CHECKPOINT_INVALID: "điểm kiểm có chữ ký không hợp lệ / a signed checkpoint is not valid",
        Fault.CHECKPOINT_DIFFERS: "khác với điểm đã ký; ít nhất một lá sai trong số này / "
        "not what was signed; at least one of these leaves is wrong",
        Fault.CUT_OFF: "nhật ký bị cắt cụt / the log was cut off",
        Fault.SAVED_DIFFERS: "khác với điểm kiểm đã lưu; ít nhất một lá sai trong số này / "
        "not what the saved checkpoint saw; at least one of these leaves is wrong",
        Fault.SAVED_INVALID: "điểm kiểm đã lưu không đáng tin / the saved checkpoint cannot be believed",
        Fault.FILE_DAMAGED: "tệp cơ sở dữ liệu bị hỏng / the database file is damaged",
    }
)


@app.command("verify")
def verify(
    config: ConfigOption = None,
    checkpoint: Annotated[Path | None, typer.Option("--checkpoint", metavar="FILE", help="A saved or witnessed checkpoint.")] = None,
    database: DatabaseOption = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Public keys to believe instead of the station's own.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check the audit log; exit code 0: it holds, 1: it does not. Nothing is written to the database."""
    files = _files(config, database, key, checkpoint)
    with bar("Lá / leaves") as progress:
        report = verify_log(files, progress)
    if as_json:
        typer.echo(json.dumps(_shown(report, files), ensure_ascii=False))
    else:
        for line in _lines(report):
            typer.echo(line)
    if not report.holds:
        raise typer.Exit(EXIT_DOES_NOT_HOLD)


@app.command("checkpoint")
def checkpoint(
    out: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to write it; else it is shown.")] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Save the newest witnessed checkpoint (else the newest): keep it outside, for `verify --checkpoint`."""
    files = AuditFiles(database=database, keys=()) if database is not None else _files(config, None, None, None)
    text = newest_checkpoint(files)
    if out is None:
        typer.echo(text, nl=False)
        return
    put_file(out, text.encode())
    typer.echo(str(out))


def _files(config: Path | None, database: Path | None, key: Path | None, saved: Path | None) -> AuditFiles:
    """The named files; the configuration is needed only for what is not named."""
    if database is not None and key is not None:
        return AuditFiles(database=database, keys=read_keys(key), saved=saved)
    own = audit_files(load(configuration_path(config), demo=True))
    # What the station remembers is of its own database: a copy may be older.
    kept = own.saved if database is None else None
    return AuditFiles(database=database or own.database, keys=own.keys if key is None else read_keys(key), saved=saved or kept)


def _lines(report: Report) -> list[str]:
    root = "-" if report.root is None else report.root.hex()
    said = "Nhật ký toàn vẹn / the audit log holds" if report.holds else "Nhật ký KHÔNG toàn vẹn / the audit log does NOT hold"
    lines = [
        said,
        f"  lá / leaves: {report.size}, gốc / root: {root}",
        f"  điểm kiểm / checkpoints: {report.checkpoints}; đã ký / signed: {report.signed}; có nhân chứng / witnessed: {report.witnessed}",
    ]
    if report.first_wrong_leaf is not None:
        lines.append(f"  lá sai đầu tiên / first wrong leaf: {report.first_wrong_leaf}")
    return [*lines, *(f"  ✗ {_line(one)}" for one in report.findings)]


def _line(one: Finding) -> str:
    where = "" if one.leaf is None else f", lá / leaf {one.leaf}"
    detail = f" ({one.detail})" if one.detail else ""
    return f"{FAULTS[one.fault]}: {one.count}{where}{detail}"


def _shown(report: Report, files: AuditFiles) -> dict[str, object]:
    return {
        "holds": report.holds,
        "database": str(files.database),
        "size": report.size,
        "root": None if report.root is None else report.root.hex(),
        "first_wrong_leaf": report.first_wrong_leaf,
        "findings": [asdict(one) for one in report.findings],
        "checkpoints": report.checkpoints,
        "signed": report.signed,
        "witnessed": report.witnessed,
    }
