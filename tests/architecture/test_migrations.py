from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import app  # noqa: F401 - wires every table
from privacy.database import Base, alembic_config, prepare_engine


def test_the_migrations_make_the_tables_that_the_code_declares(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_a_migration_can_be_taken_back_and_made_again(database_url: str) -> None:
    config = alembic_config(database_url)
    command.downgrade(config, "base")
    engine = sa.create_engine(database_url)
    assert set(sa.inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    command.upgrade(config, "head")


def test_every_constraint_has_a_name_that_we_gave() -> None:
    unnamed = [
        f"{table.name}: {constraint}"
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []


def test_the_second_release_keeps_what_the_first_one_held(database_url: str) -> None:
    """Rows that refer to each other survive, and what is append-only stays so."""
    config = alembic_config(database_url)
    command.downgrade(config, "base")
    command.upgrade(config, "0001")
    engine = sa.create_engine(database_url)
    prepare_engine(engine)
    at = datetime(2026, 3, 3, tzinfo=UTC)
    held: list[tuple[str, dict[str, object]]] = [
        ("subject", {"subject_id": "s" * 32, "created_at": at}),
        (
            "account",
            {
                "account_id": "a" * 32,
                "subject_id": "s" * 32,
                "role": "person",
                "status": "active",
                "language": "es",
                "created_at": at,
            },
        ),
        (
            "credential_password",
            {"account_id": "a" * 32, "hash": "$argon2id$", "changed_at": at},
        ),
        (
            "notice_text",
            {
                "notice": "newsletter",
                "version": 1,
                "language": "es",
                "text": "Aviso",
                "digest": "d" * 64,
                "material": True,
                "published_on": at.date(),
            },
        ),
    ]
    with engine.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection, only=[name for name, _row in held])
        for name, row in held:
            connection.execute(sa.insert(tables.tables[name]).values(row))
    command.upgrade(config, "head")
    with engine.connect() as connection:
        for name, row in held:
            kept = connection.execute(sa.text(f"SELECT * FROM {name}")).mappings().one()
            texts = {key: value for key, value in row.items() if isinstance(value, str)}
            assert {key: kept[key] for key in texts} == texts
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            connection.execute(sa.text("UPDATE notice_text SET text = 'Otro'"))
    engine.dispose()
