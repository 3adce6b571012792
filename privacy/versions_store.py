"""On which host, if on one alone, the processes are that remember what they read."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from privacy.tables import OPERATIONAL, Base


class SharedFactsRow(Base):
    """The name of that host's file of versions; no row where nobody remembers anything.

    PostgreSQL refuses who changes what decisions read and does not carry the name.
    """

    __tablename__ = "shared_facts"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    epoch: Mapped[str] = mapped_column(sa.String(32), primary_key=True)


def name_host(connection: sa.Connection, epoch: str | None) -> None:
    """Let only writers change facts that carry this name; None: anybody."""
    connection.execute(sa.delete(SharedFactsRow))
    if epoch is not None:
        connection.execute(sa.insert(SharedFactsRow).values(epoch=epoch))
