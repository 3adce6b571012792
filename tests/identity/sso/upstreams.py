"""Upstreams over a real database and a provider over real HTTP.

Nothing of the rest of the application is needed for them: a small database of their own, with only the
tables that they touch, lets each bad case have one for little.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table, create_engine

from identity.sso.configuration import read
from identity.sso.model import Arrived, AttemptPurpose, Refusal, UpstreamRefused
from identity.sso.upstream import Upstreams
from privacy.actor import ANONYMOUS, Actor
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.audit.store import Payload, entries, payloads_of
from privacy.database import Database
from privacy.engine import prepare_engine
from privacy.events import DEPLOYMENT
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.sealing import Sealer
from privacy.outbound import Outbound
from privacy.tables import Base
from privacy.unit_of_work import Runtime
from tests.support.hostile_provider import HostileProvider
from tests.support.world import CountedIds, FixedClock, World

#: As in a file of providers.
ENTRY: dict[str, object] = {
    "kind": "oidc",
    "title": "La otra",
    "attributes": ["given_name", "locale"],
    "authoritative_domains": ["example.org"],
}
PROVIDER = "other"
FILE = Path("providers.toml")
BASE_URL = "http://localhost:8000"


#: Whose tables they touch.
MODULES = ("identity.sso.attempt_store", "privacy.audit.store", "privacy.keys.store")


@dataclass(frozen=True)
class Kernel:
    """What upstreams stand on."""

    runtime: Runtime
    keyring: Keyring
    sealer: Sealer
    log: AuditLog
    clock: FixedClock


def kernel_of(world: World) -> Kernel:
    """Return the kernel of a whole deployment."""
    placet = world.placet
    return Kernel(placet.runtime, placet.keyring, placet.sealer, placet.log, world.clock)


@contextmanager
def small_kernel(folder: Path) -> Iterator[Kernel]:
    """Make a SQLite file with the tables of `MODULES`, and keys, in a folder."""
    clock, ids = FixedClock(), CountedIds()
    keyring = Keyring(folder / "keys")
    keyring.create_missing(ids)
    engine = create_engine(f"sqlite:///{folder / 'small.sqlite3'}", hide_parameters=True)
    tables = [
        cast("Table", mapper.local_table)
        for mapper in Base.registry.mappers
        if mapper.class_.__module__ in MODULES
    ]
    Base.metadata.create_all(engine, tables)
    engine.dispose()
    prepare_engine(engine)
    sealer = Sealer(keyring, ids)
    log = AuditLog(sealer, keyring.root(RootKey.LOG_INTAKE))
    runtime = Runtime(database=Database(engine), clock=clock, ids=ids, recorder=log)
    yield Kernel(runtime, keyring, sealer, log, clock)
    engine.dispose()


@dataclass
class Bench:
    """One provider that people come from, and a browser."""

    kernel: Kernel
    provider: HostileProvider
    upstreams: Upstreams
    browser: str | None = None
    old: frozenset[str] = frozenset()

    def begin(self, name: str = PROVIDER, **options: Any) -> str:
        """Send the browser away and return the address."""
        wanted: dict[str, Any] = {"purpose": AttemptPurpose.SIGN_IN, "actor": ANONYMOUS} | options
        redirect = self.upstreams.begin(name, browser=self.browser, **wanted)
        self.browser = redirect.browser
        return redirect.url

    def finish(
        self, answer: Mapping[str, list[str]], name: str = PROVIDER, *, actor: Actor = ANONYMOUS
    ) -> Arrived:
        """Bring the browser back."""
        return self.upstreams.finish(name, answer, self.browser, actor=actor)

    def sign_in(self, **options: Any) -> Arrived:
        """Go to the provider and come back."""
        return self.finish(self.provider.authorize(self.begin(**options)))

    def refused(self, answer: Mapping[str, list[str]], name: str = PROVIDER) -> Refusal:
        """Return why the browser's answer is refused."""
        try:
            self.finish(answer, name)
        except UpstreamRefused as refused:
            return refused.reason
        raise AssertionError("not refused")

    def log(self) -> list[dict[str, str]]:
        """Return everything that the audit log gained: tag and the event's own members."""
        log = self.kernel.log
        with self.kernel.runtime.snapshot() as session:
            rows = [row for row in payloads_of(session, DEPLOYMENT) if row.entry_id not in self.old]
            leaves = {each.entry_id: parse_leaf(each.leaf) for each in entries(session, _ids(rows))}
            return [
                {"tag": leaves[row.entry_id].type}
                | cast("dict[str, str]", log.disclose(session, row).payload["event"])
                for row in rows
            ]


def _ids(rows: Sequence[Payload]) -> list[str]:
    return [row.entry_id for row in rows]


def bench(kernel: Kernel, provider: HostileProvider, **configured: Mapping[str, object]) -> Bench:
    """Return a bench; each entry is laid over `ENTRY`, and without any there is one."""
    provider.clock = kernel.clock
    common = ENTRY | {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
    }
    wanted = configured or {PROVIDER: {}}
    upstreams = Upstreams(
        [read(name, common | dict(entry), FILE) for name, entry in wanted.items()],
        runtime=kernel.runtime,
        sealer=kernel.sealer,
        key=kernel.keyring.derive(RootKey.COOKIE, "sso"),
        outbound=Outbound(["127.0.0.1"]),
        base_url=BASE_URL,
        timeout_seconds=1.0,
    )
    with kernel.runtime.snapshot() as session:
        old = frozenset(_ids(payloads_of(session, DEPLOYMENT)))
    return Bench(kernel, provider, upstreams, old=old)
