"""Bringing a database to the newest schema with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from station.domain.errors import StoreError

HEAD = "0006"
"""Newest revision; a test holds it against the revisions on disk."""


def migrate(engine: Engine) -> None:
    """Run the missing migrations, all in one transaction.

    Raises:
        StoreError: the database is newer than this program, or is no station database.
    """
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names())
        revision = schema_of(connection) if "alembic_version" in tables else None
        if revision == HEAD:
            return
        if revision is None and tables:
            raise StoreError(
                f"{engine.url.database or 'The file'} holds tables of something else ({', '.join(sorted(tables))})",
                consequence="The station does not touch it",
                remedy="Give the station an empty data directory",
            )
        config = config_for()
        if revision is not None and revision not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
            raise StoreError(
                f"The database was written by a newer program (schema {revision}, this one knows {HEAD})",
                consequence="The station does not touch it",
                remedy="Start the newer program, or restore the backup from before the update",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_of(connection: Connection) -> str | None:
    """The revision that a database stands at; a library's error when it is no station database."""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def config_for() -> Config:
    """Alembic's configuration for the revisions of this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
