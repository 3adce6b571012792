from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import app  # noqa: F401 - wires every table
from privacy.engine import prepare_engine
from privacy.migration import alembic_config
from privacy.tables import Base


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


def test_people_of_the_second_release_still_know_their_applications(database_url: str) -> None:
    config = alembic_config(database_url)
    command.downgrade(config, "0002")
    engine = sa.create_engine(database_url)
    prepare_engine(engine)
    at, later = datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)
    subject, account, client = "s" * 32, "a" * 32, "c" * 32
    code: dict[str, object] = {
        "client_id": client,
        "subject_id": subject,
        "redirect_uri": "https://shop.example/callback",
        "scope": "openid",
        "auth_time": at,
        "methods": "pwd",
        "expires_at": at,
    }
    held: list[tuple[str, dict[str, object]]] = [
        ("subject", {"subject_id": subject, "created_at": at}),
        (
            "account",
            {
                "account_id": account,
                "subject_id": subject,
                "role": "person",
                "status": "active",
                "language": "es",
                "created_at": at,
            },
        ),
        (
            "session",
            {
                "session_digest": "5" * 64,
                "account_id": account,
                "subject_id": subject,
                "role": "person",
                "methods": "pwd",
                "created_at": at,
                "last_seen_at": at,
                "authenticated_at": at,
                "user_agent": "",
                "address": "",
            },
        ),
        (
            "oauth_client",
            {
                "client_id": client,
                "name": "Tienda",
                "redirect_uris": "https://shop.example/callback",
                "post_logout_redirect_uris": "",
                "grant_types": "authorization_code",
                "scopes": "openid",
                "purposes": "newsletter",
                "sector": client,
                "require_pkce": True,
                "auth_methods": "client_secret_basic",
                "created_at": at,
            },
        ),
        ("oauth_code", {**code, "code_digest": "1" * 64, "issued_at": at}),
        ("oauth_code", {**code, "code_digest": "2" * 64, "issued_at": later}),
    ]
    with engine.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection, only=sorted({name for name, _row in held}))
        for name, row in held:
            connection.execute(sa.insert(tables.tables[name]).values(row))
    command.upgrade(config, "head")
    with engine.connect() as connection:
        grants = connection.execute(
            sa.text("SELECT client_id, subject_id, scope, asked_at FROM oauth_grant")
        )
        assert grants.all() == [(client, subject, "openid", None)]
        since = sa.select(
            sa.Table("oauth_grant", sa.MetaData(), autoload_with=connection).c["made_at"]
        )
        assert str(connection.execute(since).scalar_one()).startswith("2026-03-03")
        family = connection.execute(sa.text("SELECT family_id FROM session")).scalar_one()
        assert family == "5" * 32
        known = connection.execute(sa.text("SELECT token_format, require_par FROM oauth_client"))
        assert [tuple(row) for row in known] == [("opaque", False)]
    engine.dispose()
