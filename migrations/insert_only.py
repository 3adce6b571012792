"""Triggers that refuse changes of what is only ever appended."""

from alembic import op

_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION placet_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""


def refuse(table: str, *changes: str) -> None:
    """Refuse `changes` (UPDATE, DELETE) of `table`'s rows."""
    if op.get_bind().dialect.name == "sqlite":
        for change in changes:
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(_POSTGRES_FUNCTION)
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join(changes)} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION placet_refuse_change()"
    )
