"""What stood of people before the journal of facts began is in it."""

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command

import app  # noqa: F401 - wires every table
from privacy.engine import prepare_engine
from privacy.migration import alembic_config

AT = datetime(2026, 3, 3, tzinfo=UTC)


def test_the_journal_begins_with_what_stood(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    config = alembic_config(url)
    command.upgrade(config, "0003")
    engine = sa.create_engine(url)
    prepare_engine(engine)
    old = sa.MetaData()
    old.reflect(engine, only=["subject"])
    with engine.begin() as connection:
        stood: dict[str, dict[str, object]] = {
            "a": {"restricted_at": AT, "minor_until": AT},
            "b": {"merged_into": "a", "merged_at": AT},
            "c": {"erased_at": AT},
        }
        for name, columns in stood.items():
            row = {"subject_id": name, "created_at": AT} | columns
            connection.execute(sa.insert(old.tables["subject"]).values(row))
    command.upgrade(config, "head")
    with engine.connect() as connection:
        noted = connection.execute(
            sa.text("SELECT subject_id, kind, into_subject FROM person_fact WHERE holds")
        ).all()
    engine.dispose()
    assert {tuple(row) for row in noted} == {
        ("a", "restricted", None),
        ("a", "minor", None),
        ("b", "merged", "a"),
        ("c", "erased", None),
    }
