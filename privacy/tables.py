"""What every table is made of: naming conventions, the type of an instant, marks of what it holds."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

#: `info` of a table whose rows change without an audit entry: counters, queues, job state.
OPERATIONAL = {"operational": True}
#: `info` of a table that decisions about people read: whoever changes it says of whom.
DECIDES = {"decides": True}
#: `info` of a table that tells who calls: what is ended or changed there is marked.
ADMITS = {"admits": True}


class Base(DeclarativeBase):
    """Declarative base of every table."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


#: Flask-SQLAlchemy carries the engine; the tables are plain SQLAlchemy.
orm = SQLAlchemy(model_class=Base, disable_autonaming=True)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware instant, stored and read as UTC; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored instant needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> datetime | None:
        """Return the instant as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
