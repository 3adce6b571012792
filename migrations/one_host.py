"""Triggers that refuse a writer whose changes nobody on the serving host would see."""

from alembic import op

from privacy.one_host import ONE_HOST_LOCK

#: Refused is who does not carry the name of the file in which the serving host confirms what its
#: processes remember. The lock keeps the name from changing until the writer's transaction ends.
_FUNCTION = """
CREATE OR REPLACE FUNCTION placet_carries_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(:lock);
    IF EXISTS (
        SELECT 1 FROM shared_facts
        WHERE epoch IS DISTINCT FROM current_setting('placet.epoch', true)
    ) THEN
        RAISE EXCEPTION 'placet serve runs with PLACET_ONE_HOST, and this writer is not of its host'
        USING HINT = 'write with its PLACET_INSTANCE and PLACET_ONE_HOST; or restart placet serve';
    END IF;
    RETURN NULL;
END $$
""".replace(":lock", str(ONE_HOST_LOCK))


def demand_epoch(*tables: str) -> None:
    """Refuse, on PostgreSQL, changes of these tables that the serving host would not see."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute(_FUNCTION)
    for table in tables:
        op.execute(
            f"CREATE TRIGGER {table}_of_one_host "
            f"BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION placet_carries_epoch()"
        )


def free_of_epoch(*tables: str) -> None:
    """Take `demand_epoch` back."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in tables:
        op.execute(f"DROP TRIGGER {table}_of_one_host ON {table}")
    op.execute("DROP FUNCTION placet_carries_epoch()")
