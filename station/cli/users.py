"""`station users …`: who may come in, changed at the machine itself while the station does not run."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from station.api.users import WELCOME
from station.bootstrap.access import accounts_at_rest
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.domain.access import Role
from station.domain.errors import ConfigurationError, NotFoundError
from station.domain.piece import Secrecy
from station.settings import Configuration, load
from station.workflow.accounts import Accounts, Change

app = typer.Typer(no_args_is_help=True, help="Người dùng, khi trạm không chạy / users, while the station does not run.")
tokens = typer.Typer(no_args_is_help=True, help="Khóa của chương trình / tokens of programs.")
app.add_typer(tokens, name="token")

NONE = "none"
LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN")]
RoleOption = Annotated[list[Role], typer.Option("--role", help="May be given several times.")]
ClearanceOption = Annotated[str, typer.Option("--clearance", metavar="none|C|B|A", help="Độ mật cao nhất được xem / highest level seen.")]


@app.command("add")
def add(
    login: LoginArgument,
    role: RoleOption,
    clearance: ClearanceOption = NONE,
    name: Annotated[str, typer.Option("--name", help="The name that is shown.")] = "",
    config: ConfigOption = None,
) -> None:
    """Add a user and print the one-time link by which they choose a password."""
    level = _level(clearance)
    with _accounts(config) as (accounts, configuration):
        made = asyncio.run(accounts.add(login, display_name=name, roles=role, clearance=level))
        _show_link(configuration, made.secret)


@app.command("list")
def users(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Every user with roles and clearance."""
    with _accounts(config) as (accounts, _):
        found = accounts.users()
    shown = [
        {
            "login": one.user.login,
            "name": one.user.display_name,
            "roles": sorted(one.user.roles),
            "clearance": one.user.clearance,
            "disabled": one.user.disabled,
            "has_password": one.password_hash is not None,
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    for one in found:
        marks = ["đã khóa / disabled"] if one.user.disabled else []
        marks += ["chưa có mật khẩu / no password"] if one.password_hash is None else []
        roles = ", ".join(sorted(one.user.roles)) or "-"
        typer.echo("  ".join([one.user.login, one.user.display_name, roles, one.user.clearance or NONE, *marks]))


@app.command("disable")
def disable(login: LoginArgument, config: ConfigOption = None) -> None:
    """Let a user in no more. Records keep the login; it is never given again."""
    _change(config, login, Change(disabled=True))


@app.command("enable")
def enable(login: LoginArgument, config: ConfigOption = None) -> None:
    """Let a user in again."""
    _change(config, login, Change(disabled=False))


@app.command("roles")
def roles(login: LoginArgument, role: RoleOption, clearance: ClearanceOption, config: ConfigOption = None) -> None:
    """Set a user's roles and clearance."""
    _change(config, login, Change(roles=frozenset(role), clearance=_level(clearance)))


@app.command("password-link")
def password_link(login: LoginArgument, config: ConfigOption = None) -> None:
    """Print a one-time link by which the user chooses a new password; it lasts a day."""
    with _accounts(config) as (accounts, configuration):
        made = asyncio.run(accounts.new_link(accounts.called(login).user.user_id))
        _show_link(configuration, made.secret)


@tokens.command("add")
def add_token(name: Annotated[str, typer.Argument(metavar="NAME")], clearance: ClearanceOption = NONE, config: ConfigOption = None) -> None:
    """Make a token for a program and print it once. Whoever announces pieces needs clearance A."""
    level = _level(clearance)
    with _accounts(config) as (accounts, _):
        typer.echo(asyncio.run(accounts.add_token(name, clearance=level)).secret)


@tokens.command("revoke")
def revoke(name: Annotated[str, typer.Argument(metavar="NAME")], config: ConfigOption = None) -> None:
    """Take a program's token back."""
    with _accounts(config) as (accounts, _):
        found = next((one for one in accounts.tokens() if one.name == name and not one.revoked), None)
        if found is None:
            raise NotFoundError(f"There is no token named {name!r} in use", remedy="Look at `station users token list`")
        asyncio.run(accounts.revoke_token(found.token_id))


@tokens.command("list")
def list_tokens(config: ConfigOption = None) -> None:
    """Every program's token, never the secret."""
    with _accounts(config) as (accounts, _):
        for one in accounts.tokens():
            typer.echo("  ".join([one.name, one.clearance or NONE, *(["đã thu hồi / revoked"] if one.revoked else [])]))


@contextmanager
def _accounts(config: Path | None) -> Iterator[tuple[Accounts, Configuration]]:
    """Accounts over the station's own store, which no station may be using: while it runs, it changes them through its interface."""
    configuration = load(configuration_path(config), demo=True)
    with accounts_at_rest(configuration) as accounts:
        yield accounts, configuration


def _change(config: Path | None, login: str, change: Change) -> None:
    with _accounts(config) as (accounts, _):
        asyncio.run(accounts.change(accounts.called(login).user.user_id, change))


def _level(text: str) -> Secrecy | None:
    if text == NONE:
        return None
    try:
        return Secrecy(text)
    except ValueError as error:
        raise ConfigurationError(f"--clearance {text} is no level", remedy="Allowed: none, C, B, A") from error


def _show_link(configuration: Configuration, secret: str | None) -> None:
    http = configuration.station.http
    scheme = "https" if configuration.tls_key_file is not None else "http"
    host = http.names[0] if http.names else http.host
    typer.echo(f"{scheme}://{f'[{host}]' if ':' in host else host}:{http.port}{WELCOME}{secret}")
