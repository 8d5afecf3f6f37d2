"""`station backup` and `station restore`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.audit import read_keys
from station.bootstrap.backup import MadeBackup, make_backup
from station.bootstrap.restore import CheckedBackup, Restored, check_backup, keys_for
from station.bootstrap.restore import restore as put_in_place
from station.cli.errors import EXIT_DOES_NOT_HOLD
from station.cli.model_fit import NoteOption
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.progress import bar
from station.domain.errors import ConfigurationError
from station.settings import load


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Where backups are kept; each gets a directory of its own.")],
    config: ConfigOption = None,
    keep: Annotated[int | None, typer.Option(min=1, metavar="N", help="Keep the newest N of this site, remove older ones.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Sao lưu trạm, cả khi đang chạy / back the station up, also while it runs. Keys of images and private keys are not in it."""
    configuration = load(configuration_path(config), demo=True)
    with bar("Tệp / files") as progress:
        made = make_backup(configuration, target, keep=keep, at=datetime.now(UTC), progress=progress)  # noqa: TID251 - a program of its own
    if as_json:
        typer.echo(json.dumps(_made_row(made), ensure_ascii=False))
    else:
        for line in _made_lines(made):
            typer.echo(line)
    if not made.log.holds:
        raise typer.Exit(EXIT_DOES_NOT_HOLD)


def restore(
    directory: Annotated[Path, typer.Argument(metavar="BACKUP", help="The directory of one backup.")],
    config: ConfigOption = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Public key of the audit log, kept outside; else the station's own.")
    ] = None,
    supervisor: Annotated[str, typer.Option(metavar="NAME", help="Who takes the responsibility.")] = "",
    note: NoteOption = "",
    *,
    check: Annotated[bool, typer.Option("--check", help="Only read and prove the backup; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Chạy tiếp từ bản sao lưu / go on from a backup, after proving it. What may have changed since is held until people review it."""
    station_file = configuration_path(config)
    keys = keys_for(station_file) if key is None else read_keys(key)
    if check:
        with bar("Tệp, lá / files, leaves") as progress:
            checked = check_backup(directory, keys, progress)
        typer.echo(json.dumps(_checked_row(checked), ensure_ascii=False) if as_json else "\n".join(_checked_lines(checked)))
        if not checked.holds:
            raise typer.Exit(EXIT_DOES_NOT_HOLD)
        return
    if not supervisor:
        raise ConfigurationError("Nobody takes the responsibility", consequence="Nothing was changed", remedy="Give --supervisor NAME")
    with bar("Tệp, lá / files, leaves") as progress:
        done = put_in_place(station_file, directory, keys, person=supervisor, note=note, progress=progress)
    typer.echo(json.dumps(_restored_row(done), ensure_ascii=False) if as_json else "\n".join(_restored_lines(done)))


def _made_lines(made: MadeBackup) -> list[str]:
    size = sum(one.size for one in made.manifest.files)
    lines = [
        f"Đã sao lưu / backed up: {made.directory}",
        f"  {len(made.manifest.files)} tệp / files, {size / 1e6:.1f} MB; {made.linked} không đổi / unchanged",
        f"  nhật ký / audit log: {made.log.size} lá / leaves, {'toàn vẹn / holds' if made.log.holds else 'KHÔNG toàn vẹn / does NOT hold'}",
    ]
    lines += [f"  không sao lưu, nằm ngoài thư mục cấu hình / left out, lies elsewhere: {path}" for path in made.left_out]
    lines += [f"  đã xóa bản cũ / removed: {name}" for name in made.removed]
    return [
        *lines,
        *(f"  ✗ bản cũ bị hỏng, vẫn giữ, không tính / damaged, stays, not counted: {one.name}: {one.why}" for one in made.damaged),
    ]


def _made_row(made: MadeBackup) -> dict[str, object]:
    return {
        "directory": str(made.directory),
        "files": len(made.manifest.files),
        "bytes": sum(one.size for one in made.manifest.files),
        "unchanged": made.linked,
        "left_out": list(map(str, made.left_out)),
        "leaves": made.log.size,
        "log_holds": made.log.holds,
        "removed": list(made.removed),
        "damaged": [{"name": one.name, "why": one.why} for one in made.damaged],
    }


def _checked_lines(checked: CheckedBackup) -> list[str]:
    manifest = checked.manifest
    log = checked.log
    lines = [
        f"Bản sao lưu toàn vẹn / the backup holds: {manifest.name}"
        if checked.holds
        else f"Bản sao lưu KHÔNG toàn vẹn / the backup does NOT hold: {manifest.name}",
        f"  lúc / made at {manifest.made_at.isoformat()}, {len(manifest.files)} tệp / files, {manifest.leaves} lá / leaves",
    ]
    lines += [f"  ✗ mất hoặc đã bị sửa / missing or changed: {path}" for path in checked.wrong]
    if log is not None and not log.holds:
        lines.append(f"  ✗ nhật ký / audit log: {', '.join(one.fault.value for one in log.findings)}")
    lines.append(f"  được đăng nhập / may log in: {', '.join(checked.logins) or '-'}")
    lines.append(f"  mã chương trình / program tokens: {', '.join(checked.tokens) or '-'}")
    return lines


def _checked_row(checked: CheckedBackup) -> dict[str, object]:
    return {
        "holds": checked.holds,
        "name": checked.manifest.name,
        "site": checked.manifest.site,
        "made_at": checked.manifest.made_at.isoformat(),
        "files": len(checked.manifest.files),
        "leaves": checked.manifest.leaves,
        "wrong": list(checked.wrong),
        "log": None if checked.log is None else [one.fault.value for one in checked.log.findings],
        "logins": list(checked.logins),
        "tokens": list(checked.tokens),
    }


def _restored_lines(done: Restored) -> list[str]:
    settled = done.settled
    lines = [*_checked_lines(done.checked), "Đã đưa vào chỗ / put in place. Bây giờ / now:"]
    lines += [f"  cấu hình / configuration: {path}" for path in done.configuration]
    lines += [f"  giữ nguyên, vắng hoặc khác bản sao lưu / stays, missing or unlike the backup's: {path}" for path in done.differing]
    lines.append(f"  phải thẩm định / to be reviewed: {settled.marked} bưu gửi / pieces; {settled.held} vừa bị giữ / held now")
    if done.set_aside is not None:
        lines.append(f"  mất / lost: {done.lost_leaves} lá / leaves; {done.set_aside} cho biết điều đó / tells of them")
    if done.unreadable is not None:
        lines.append(f"  ✗ không đọc được, nên không biết mất bao nhiêu lá / unreadable, so what was lost is not known: {done.unreadable}")
    told = f"nơi nhận còn {settled.lost_events} sự kiện / the receiver has {settled.lost_events} events of the lost time"
    lines.append(f"  {told if done.asked else 'không có nơi nhận để hỏi / there is no receiver to ask'}")
    lines.append("  cần mẫu thử mới ở mỗi làn / each lane needs a new run of the test piece")
    lines.append("  mô hình không được cho qua đến khi / the model clears nothing until: station model resume")
    lines.append("  kiểm tra tài khoản và mã chương trình ở trên / check the logins and tokens above: station users list")
    return lines


def _restored_row(done: Restored) -> dict[str, object]:
    return {
        "backup": done.checked.manifest.name,
        "configuration": list(map(str, done.configuration)),
        "differing": list(map(str, done.differing)),
        "to_be_reviewed": done.settled.marked,
        "held": done.settled.held,
        "lost_leaves": done.lost_leaves,
        "lost_events": done.settled.lost_events,
        "receiver_asked": done.asked,
        "set_aside": None if done.set_aside is None else str(done.set_aside),
        "unreadable": None if done.unreadable is None else str(done.unreadable),
    }
