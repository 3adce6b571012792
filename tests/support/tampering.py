"""Somebody with the database's password and no keys of ours: no triggers, no foreign keys."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def behind_our_back(database_url: str, *, keep: bool = True) -> Iterator[sa.Connection]:
    """Yield a connection on which everything may be changed; committed on leaving if to be kept."""
    engine = sa.create_engine(database_url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":  # foreign keys are off unless asked for
                triggers = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                for name in connection.scalars(triggers).all():
                    connection.execute(sa.text(f"DROP TRIGGER {name}"))
            else:
                connection.execute(sa.text("SET session_replication_role = replica"))
            yield connection
            if keep:
                connection.commit()
    finally:
        engine.dispose()
