"""Fresh databases without the time that Alembic takes for each: what its migrations make is kept once for a process, and written anew."""

from functools import cache

from sqlalchemy import Engine, create_engine, inspect

from station.storage.migrations import migrate


@cache
def newest_schema() -> tuple[str, ...]:
    """The statements that make a database as the real migrations do, and what they put into it."""
    engine = create_engine("sqlite://")
    migrate(engine)
    with engine.connect() as connection:
        statements = tuple(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    engine.dispose()
    return statements[1:-1]


def migrate_fresh(engine: Engine) -> None:
    """Stands for `migrate`: an empty database becomes one of the newest schema at once; every other one is migrated as ever."""
    with engine.begin() as connection:
        is_empty = not inspect(connection).get_table_names()
        for statement in newest_schema() if is_empty else ():
            connection.exec_driver_sql(statement)
    if not is_empty:
        migrate(engine)
