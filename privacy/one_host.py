"""PostgreSQL that is written from one host: who writes says from which, and may be waited for.

The triggers that refuse everybody else are in `migrations/one_host.py`; why they are needed is in
docs/decisions/0011-freshness.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from privacy.versions import Versions

if TYPE_CHECKING:
    import psycopg

#: Held shared by who changes facts on PostgreSQL, and alone by who says from which host they may be.
ONE_HOST_LOCK = 7_074_363


def name_writers(engine: Engine, versions: Versions) -> None:
    """Say of each new connection from which host it writes: by the name that the file has then."""

    def name_writer(connection: psycopg.Connection[Any], _record: object) -> None:
        setting = "SELECT set_config('placet.epoch', %s, false)"
        connection.execute(setting, (versions.epoch,))
        connection.commit()

    event.listen(engine, "connect", name_writer)


def keep_writers_out(connection: Connection) -> None:
    """Wait until nobody changes facts any more, and keep everybody out until the transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ONE_HOST_LOCK)))
