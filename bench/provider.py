"""Code exchanges and introspections a second beside npm oidc-provider: `make bench ONLY=provider`.

All of them run on this machine in the same run and take turns, over HTTP with keep-alive: Placet as
`placet serve` runs it, on SQLite and on PostgreSQL that flush each commit; oidc-provider in one
process with its default adapter in memory, and with a durable one (`bench/peer_provider.mjs`).
Everywhere: RSA keys of 2048 bits, RS256, PKCE, client_secret_basic, pairwise `sub`. Codes are made
before the clock runs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import requests

from app import Placet, create_app
from bench.load import Load, lua_forms, run_counted
from identity.provider import store
from identity.provider.model import CodeIssued
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from privacy.ids import new_token, secret_digest
from privacy.settings import settings_from
from tests.support.deployment import Deployment
from tests.support.node import node
from tests.support.postgres import ROOMY, postgres
from tests.support.processes import ROOT, free_port, program

NAME = "provider"
PEER_SCRIPT = ROOT / "bench" / "peer_provider.mjs"
PEER_VERSION = json.loads((ROOT / "node_modules/oidc-provider/package.json").read_text())["version"]
MEMORY = f"oidc-provider {PEER_VERSION}, in memory, one process"
DURABLE = f"oidc-provider {PEER_VERSION}, node:sqlite synchronous=FULL, one process"
CONNECTIONS = (1, 16)
ROUNDS = 7
#: A round's codes: the peer's memory forgets beyond 1,000 entries, and each code comes with three.
EXCHANGES = 200
INTROSPECTIONS = 750
PEOPLE = 50
CALLBACK = "https://rp.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


@dataclass(frozen=True, slots=True)
class Subject:
    """One provider under load.

    Attributes:
        token: address of its token endpoint.
        introspection: address of its introspection endpoint.
        authorization: the client's Authorization header.
        codes: makes so many authorization codes.
    """

    token: str
    introspection: str
    authorization: str
    codes: Callable[[int], Sequence[str]]


def basic(client_id: str, secret: str) -> str:
    """Return the header of client_secret_basic for values that need no encoding."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def exchange_form(code: str) -> str:
    """Return the body that exchanges a code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return urlencode(form)


def people_of(placet: Placet, client_id: str) -> list[str]:
    """Open accounts of people whom the client knows, and return their subject ids."""
    found = []
    for number in range(PEOPLE):
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            subject_id = placet.subjects.by_email(uow, f"person{number}@example.com", keep=True)
            placet.identity.accounts.open(uow, subject_id, role=Role.PERSON, language="es")
            placet.pseudonyms.issue(uow, client_id, subject_id)
            uow.commit()
        found.append(subject_id)
    return found


def code_maker(
    placet: Placet, client_id: str, people: Sequence[str]
) -> Callable[[int], Sequence[str]]:
    """Return what makes codes as a finished sign-in leaves them, in one transaction."""

    def make(count: int) -> Sequence[str]:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            codes = [new_token(uow.ids) for _ in range(count)]
            for number, code in enumerate(codes):
                uow.session.add(
                    store.CodeRow(
                        code_digest=secret_digest(code),
                        client_id=client_id,
                        subject_id=people[number % PEOPLE],
                        redirect_uri=CALLBACK,
                        scope="openid",
                        nonce="n" * 22,
                        code_challenge=CHALLENGE.decode(),
                        auth_time=uow.now,
                        methods="pwd",
                        issued_at=uow.now,
                        expires_at=uow.now + timedelta(minutes=10),
                    )
                )
            uow.record(CodeIssued(client_id=client_id))
            uow.commit()
        return codes

    return make


@contextmanager
def placet_on(database_url: str, instance: Path) -> Iterator[Subject]:
    """Run `placet serve` with one client and its people."""
    instance.mkdir()
    deployment = Deployment(database_url, instance)
    with deployment.serving():
        client = deployment.add_client("bench", "--redirect-uri", CALLBACK, "--scope", "openid")
        app = create_app(settings_from(deployment.environment, instance))
        placet: Placet = app.extensions["placet"]
        client_id = client["client_id"]
        yield Subject(
            token=f"{deployment.url}/oauth/token",
            introspection=f"{deployment.url}/oauth/introspect",
            authorization=basic(client_id, client["client_secret"]),
            codes=code_maker(placet, client_id, people_of(placet, client_id)),
        )
        placet.uses.flush()
        placet.runtime.database.engine.dispose()


@contextmanager
def peer(folder: Path, database: Path | None = None) -> Iterator[Subject]:
    """Run oidc-provider, durable where it is given a database."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command: list[str | Path] = [node(), PEER_SCRIPT, str(port)]
    command += [database] if database else []
    log = folder / f"peer-{port}.log"
    with program(command, log=log, ready_url=f"{url}/.well-known/openid-configuration"):
        client = requests.get(f"{url}/bench/codes?count=0", timeout=10).json()

        def codes(count: int) -> Sequence[str]:
            answer = requests.get(f"{url}/bench/codes?count={count}", timeout=60)
            made: list[str] = answer.json()["codes"]
            return made

        yield Subject(
            token=f"{url}/token",
            introspection=f"{url}/token/introspection",
            authorization=basic(client["client_id"], client["client_secret"]),
            codes=codes,
        )


@contextmanager
def subjects(folder: Path) -> Iterator[dict[str, Subject]]:
    """Start everything that is measured."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres(durable=True, settings=ROOMY))
        server.create_database("bench")
        sqlite = f"sqlite:///{folder / 'sqlite' / 'placet.sqlite3'}"
        yield {
            "sqlite": stack.enter_context(placet_on(sqlite, folder / "sqlite")),
            "postgresql": stack.enter_context(
                placet_on(server.url("bench"), folder / "postgresql")
            ),
            MEMORY: stack.enter_context(peer(folder)),
            DURABLE: stack.enter_context(peer(folder, folder / "peer.sqlite3")),
        }


def exchange(subject: Subject, connections: int) -> Load:
    """Exchange a round's codes."""
    bodies = [exchange_form(code) for code in subject.codes(EXCHANGES)]
    script = lua_forms(bodies, subject.authorization, '"id_token":')
    return run_counted(subject.token, count=EXCHANGES, connections=connections, script=script)


def introspect(subject: Subject, connections: int) -> Load:
    """Introspect one fresh token a round's times."""
    [code] = subject.codes(1)
    answer = requests.post(
        subject.token,
        exchange_form(code),
        headers={
            "Authorization": subject.authorization,
            "Content-Type": "application/x-www-form-urlencoded",
        },
        timeout=10,
    )
    answer.raise_for_status()
    body = urlencode({"token": answer.json()["access_token"]})
    script = lua_forms([body], subject.authorization, '"active":true', repeat=INTROSPECTIONS)
    url = subject.introspection
    return run_counted(url, count=INTROSPECTIONS, connections=connections, script=script)


KINDS: dict[str, Callable[[Subject, int], Load]] = {
    "exchange": exchange,
    "introspection": introspect,
}


def measure() -> list[dict[str, object]]:
    """Return the result rows, one for each kind, number of connections, database and peer."""
    rows = list[dict[str, object]]()
    with tempfile.TemporaryDirectory() as name, subjects(Path(name)) as measured:
        for kind, one_round in KINDS.items():
            for connections in CONNECTIONS:
                loads = {each: list[Load]() for each in measured}
                for number in range(ROUNDS + 1):
                    for each, subject in measured.items():
                        load = one_round(subject, connections)
                        if number:  # the first round warms up
                            loads[each].append(load)
                rows += compared(f"{kind}-{connections}", kind, loads)
    return rows


def compared(name: str, kind: str, loads: dict[str, list[Load]]) -> list[dict[str, object]]:
    """Return and print the rows of one measurement."""
    rates = {who: statistics.median(each.per_second for each in of) for who, of in loads.items()}
    print(f"\n{name}, {kind}s a second, and p50, p99 in ms")
    for who, of in loads.items():
        p50, p99 = (
            statistics.median(getattr(each, percentile) for each in of)
            for percentile in ("p50_ms", "p99_ms")
        )
        print(f"  {who:66}{rates[who]:9,.0f}{p50:9.2f}{p99:9.2f}")
    rows = list[dict[str, object]]()
    for database in ("sqlite", "postgresql"):
        for beside in (MEMORY, DURABLE):
            ratio = rates[database] / rates[beside]
            print(f"  placet on {database} / {beside}: {ratio:.3f}", flush=True)
            rows.append(
                {
                    "name": f"{name}-{database}-{'memory' if beside == MEMORY else 'durable'}",
                    "value": round(rates[database], 1),
                    "unit": f"{kind}s/s",
                    "p50_ms": round(statistics.median(e.p50_ms for e in loads[database]), 3),
                    "p99_ms": round(statistics.median(e.p99_ms for e in loads[database]), 3),
                    "floor": None,
                    "ratio": round(ratio, 4),
                    "peer": beside,
                    "peer_value": round(rates[beside], 1),
                    "command": f"make bench ONLY={NAME}",
                }
            )
    return rows
