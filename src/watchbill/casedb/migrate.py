"""Brings the database of cases to this release's schema: a new one is made, an older one is upgraded, a newer one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from watchbill.core.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

PLACE: Final = Path(__file__).parent / "migrations"
HEAD: Final = "head"
NOTHING: Final = "base"


def migrate(connection: Connection, to: str = HEAD) -> None:
    """Upgrade to a revision (the newest), in the connection's transaction.

    Raises:
        StoreError: a newer release made the schema.
    """
    config = _config(connection)
    try:
        script = ScriptDirectory.from_config(config)
        if to == HEAD and revision_of(connection) == script.get_current_head():
            return  # most of the time; asking Alembic to find that out takes far longer
        command.upgrade(config, to)
    except CommandError as error:
        raise StoreError(
            "the schema is not one that this release knows", where="database of cases",
            todo="Run the release that made it, or give another database and `watchbill cases rebuild`",
        ) from error  # fmt: skip


def drop(connection: Connection) -> None:
    """Take everything away that `migrate` made, triggers first: only a rebuild from the journal does this."""
    try:
        command.downgrade(_config(connection), NOTHING)
    except CommandError as error:
        raise StoreError(
            "the schema is not one that this release knows", where="database of cases", todo="Give another database"
        ) from error


def revision_of(connection: Connection) -> str | None:
    """The revision that a database stands at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(PLACE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
