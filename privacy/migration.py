"""Which revision of the schema a database is at, and how it is brought to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for `url`, without a file."""
    from alembic.config import Config  # noqa: PLC0415 - dear, and serving never needs it

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest revision."""
    from alembic import command  # noqa: PLC0415 - as above

    command.upgrade(alembic_config(url), "head")


def newest_revisions() -> frozenset[str]:
    """Return the revisions that `migrate` brings a database to."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    return frozenset(ScriptDirectory.from_config(alembic_config("")).get_heads())


def revisions_of(session: Session) -> frozenset[str]:
    """Return the revisions that a database is at; empty where it was never migrated."""
    query = sa.select(sa.column("version_num", sa.String)).select_from(sa.table("alembic_version"))
    return frozenset(session.scalars(query))
