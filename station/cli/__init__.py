"""The command line (contract: command line, demo and reports)."""

import sys

import typer
from typer.exceptions import Abort, TyperException

from station.cli import (
    audit,
    backup,
    certificate,
    config,
    demo,
    doctor,
    model,
    model_fit,
    report,
    run,
    support_bundle,
    tracking,
    users,
    vault,
)
from station.cli.errors import EXIT_DOES_NOT_HOLD, EXIT_USAGE, report_errors
from station.domain.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Trạm soi KT1 / KT1 station controller.", pretty_exceptions_enable=False)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("doctor")(doctor.doctor)
app.command("report")(report.report)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("support-bundle")(support_bundle.support_bundle)
app.add_typer(audit.app, name="audit")
app.add_typer(certificate.app, name="certificate")
app.add_typer(config.app, name="config")
for name, command in (("fit", model_fit.fit), ("list", model_fit.models), ("adopt", model_fit.adopt), ("rollback", model_fit.rollback)):
    model.app.command(name)(command)
app.add_typer(model.app, name="model")
app.add_typer(tracking.app, name="tracking")
app.add_typer(users.app, name="users")
app.add_typer(vault.app, name="vault")

__all__ = ["EXIT_USAGE", "app", "main"]


def main() -> None:
    """Run the command line; errors are two lines on standard error, and the exit code says what kind they are."""
    with report_errors():
        try:
            code = app(standalone_mode=False)
        except TyperException as error:
            what = error.format_message()
            if not what:
                # No command was given, and the help has been shown.
                raise SystemExit(EXIT_USAGE) from None
            context = getattr(error, "ctx", None)
            command = context.command_path if context is not None else "station"
            raise ConfigurationError(what, remedy=f"See {command} --help") from error
        except Abort:
            sys.exit(EXIT_DOES_NOT_HOLD)
        sys.exit(code)
