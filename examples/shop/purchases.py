"""Who bought what, under the shop's own pseudonym for the person: the shop knows no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path


class Purchases:
    """A table in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS purchase"
                " (person TEXT NOT NULL, product TEXT NOT NULL, bought_at TEXT NOT NULL)"
            )
            connection.execute(
                "CREATE INDEX IF NOT EXISTS purchase_by_person ON purchase (person, bought_at)"
            )

    def add(self, person: str, product: str, at: datetime) -> None:
        """Note that a person bought a product."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO purchase VALUES (?, ?, ?)", (person, product, at.isoformat())
            )

    def since(self, person: str, start: datetime) -> list[str]:
        """Return the slugs of what a person bought from `start` (aware UTC) on, oldest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT product FROM purchase WHERE person = ? AND bought_at >= ?"
                " ORDER BY bought_at",
                (person, start.isoformat()),
            )
            return [str(product) for (product,) in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
            yield connection
