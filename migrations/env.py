"""Alembic's entry: runs the migrations against the address that `privacy.migration` hands over."""

import importlib
import pkgutil

import sqlalchemy as sa
from alembic import context

import identity
import privacy
from privacy.engine import prepare_engine
from privacy.tables import Base

for package in (privacy, identity):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith(("store", ".signing", "privacy.outbox", "privacy.heartbeat")):
            importlib.import_module(module.name)

engine = sa.create_engine(context.config.attributes["url"])
prepare_engine(engine)
with engine.connect() as connection:
    if engine.dialect.name != "sqlite" and sa.inspect(connection).has_table("shared_facts"):
        # Nobody serves while tables change: these writers are let in (`migrations/one_host.py`).
        name = "SELECT set_config('placet.epoch', (SELECT max(epoch) FROM shared_facts), false)"
        connection.execute(sa.text(name))
    connection.commit()  # looking began a transaction, inside which nothing would be kept
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
