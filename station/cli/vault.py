"""`station vault status|destroy`."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from station.bootstrap.vault import KeyStatus, destroy_early, vault_status
from station.cli.model_fit import NoteOption, SupervisorOption
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.domain.vault import ImagesDestroyed, level_name, level_named
from station.settings import load

app = typer.Typer(no_args_is_help=True, help="Kho ảnh / the image vault.")


class Level(StrEnum):
    """A level on the command line."""

    A = "A"
    B = "B"
    C = "C"
    UNMARKED = "unmarked"


@app.command("status")
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List the image keys with the number of images under each, and every destruction record."""
    keys, records = vault_status(load(configuration_path(config), demo=True), _now().date())
    if as_json:
        typer.echo(json.dumps({"keys": [_key_row(one) for one in keys], "destroyed": [_row(one) for one in records]}, ensure_ascii=False))
        return
    for one in keys:
        until = "quá hạn / overdue since" if one.due else "giữ đến hết / kept to the end of"
        typer.echo(f"{one.key.key_id}  {one.images}  {until} {one.kept_until.isoformat()}")
    for record in records:
        typer.echo(_line(record))


@app.command("destroy")
def destroy(
    day: Annotated[datetime, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The UTC day of the key.")],
    level: Annotated[Level, typer.Option(help="The level of the pieces.")],
    supervisor: SupervisorOption,
    note: NoteOption = "",
    config: ConfigOption = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Destroy the images of a day and level before their time, for good; the station must not run meanwhile."""
    configuration = load(configuration_path(config), demo=True)
    if not yes:
        typer.confirm(f"Hủy vĩnh viễn ảnh / destroy for good: {day.date().isoformat()} {level.value}?", abort=True)
    records, stayed = destroy_early(configuration, day=day.date(), level=level_named(level.value), person=supervisor, note=note, at=_now())
    for record in records:
        typer.echo(_line(record))
    if stayed:
        typer.echo(f"Giữ lại vì bưu gửi chưa xong / kept, their pieces are not done with: {stayed}")
    typer.echo("Biên bản được ký khi trạm chạy lại / the record is signed with the audit log when the station runs again")


def _line(record: ImagesDestroyed) -> str:
    order = record.order
    by = order.person or "chính sách / the policy"
    return f"{record.at.isoformat(timespec='seconds')} đã hủy / destroyed {record.key_id}: {record.images} ({by}) {order.note}".rstrip()


def _key_row(one: KeyStatus) -> dict[str, object]:
    return {
        "key_id": one.key.key_id,
        "day": one.key.day.isoformat(),
        "level": level_name(one.key.level),
        "images": one.images,
        "kept_until": one.kept_until.isoformat(),
        "due": one.due,
    }


def _row(record: ImagesDestroyed) -> dict[str, object]:
    return {
        "at": record.at.isoformat(),
        "key_id": record.key_id,
        "level": level_name(record.level),
        "images": record.images,
        "roll_sha256": record.roll_sha256,
        "cause": record.order.cause.value,
        "person": record.order.person,
        "note": record.order.note,
        "policy_sha256": record.order.policy_sha256,
    }


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a program of its own
