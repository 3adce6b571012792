"""A whole deployment in a test: fixed clock, counted ids, real database, real keys."""

import hashlib
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from app import Placet, create_app
from privacy.audit.sequencer import read_verifier
from privacy.audit.verification import Verification, verify_log
from privacy.settings import settings_from
from tests.support.reuse import TEMPLATE_CODE

#: Every world of the present test, so that its connections are closed when the test ends.
OPEN: "list[World]" = []

NOON = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)  # noon in Madrid

#: The cheapest Argon2id that argon2-cffi allows: tests check that it is used, not what it costs.
CHEAP = {
    "PLACET_ARGON2_TIME_COST": "1",
    "PLACET_ARGON2_MEMORY_KIB": "8",
    "PLACET_ARGON2_PARALLELISM": "1",
}


@dataclass
class FixedClock:
    """Stands still until told otherwise."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class CountedIds:
    """Ids that repeat from run to run: SHA-256 of a counter; safe between threads."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def random_bytes(self, count: int) -> bytes:
        with self._lock:
            number = next(self._numbers)
        return hashlib.shake_256(f"{self._seed}|{number}".encode()).digest(count)


@dataclass
class World:
    """A deployment and what a test does with it from outside."""

    app: Flask
    placet: Placet
    clock: FixedClock
    ids: CountedIds = field(default_factory=CountedIds)

    @property
    def client(self) -> FlaskClient:
        """A fresh browser without cookies."""
        return self.app.test_client()

    def settle(self) -> None:
        """Do what the worker would: place and sign log entries, deliver the outbox."""
        sequencer = self.placet.sequencer()
        while sequencer.run_once():
            pass
        with self.app.app_context():
            self.placet.outbox.deliver_due(self.placet.runtime, limit=1000)

    def count_uses(self) -> None:
        """Write what was counted so far, as a flush and the worker would."""
        self.placet.uses.flush()
        self.placet.uses.run_due()

    def verify(self) -> Verification:
        """Verify the whole log as `placet audit verify` does."""
        with self.placet.runtime.snapshot() as session:
            return verify_log(
                session,
                self.placet.log,
                read_verifier(self.placet.keys_folder),
                cross_checks=self.placet.cross_checks,
            )


def make_world(database_url: str, instance: Path, *, seed: str = "world", **settings: str) -> World:
    """Return a wired deployment on a database that is already set up with `instance`'s keys."""
    clock, ids = FixedClock(), CountedIds(seed)
    values = CHEAP | {"PLACET_DATABASE_URL": database_url} | settings
    app = create_app(settings_from(values, instance), clock, ids)
    app.testing = True
    app.jinja_env.bytecode_cache = TEMPLATE_CODE
    world = World(app=app, placet=app.extensions["placet"], clock=clock, ids=ids)
    OPEN.append(world)
    return world


def close_worlds() -> None:
    """Write what waits and close the connections of every world made since the last call."""
    while OPEN:
        placet = OPEN.pop().placet
        placet.uses.flush()
        placet.runtime.database.engine.dispose()
