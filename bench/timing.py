"""Whether the time of an answer tells if an address has an account: `make bench ONLY=enumeration`.

The whole application runs in this process, on SQLite, at the cost of passwords that is the default.
For each form known and unknown addresses take turns in random order, and the two samples are compared
by a two-sided Mann-Whitney U test: it asks nothing of the shape of the times, which have long tails.
Source: OWASP ASVS 5.0 6.3.8.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import create_app, set_up
from identity.accounts.store import AttemptRow, PendingRegistration, SignInTryRow
from identity.credentials.store import RecoveryRow
from identity.mfa.store import CeremonyRow
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from privacy.outbox import OutboxRow
from privacy.settings import settings_from
from tests.support.forms import csrf_token

TRIES = 500
WARM_UP = 10
PEOPLE = 20
SEED = 20261121
PASSWORD = "una frase larga y única"
WRONG = "otra frase, todavía más larga"

#: Sends one request about an address.
Ask = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two samples of one form, in seconds."""

    known: Sequence[float]
    unknown: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of known addresses over that of unknown ones."""
        return statistics.median(self.known) / statistics.median(self.unknown)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the chance that one of `first` is greater than one of `second`, and the two-sided p.

    By the normal approximation with the correction for ties and for continuity, good from about
    twenty a side on. Source: H. B. Mann, D. R. Whitney, Ann. Math. Statist. 18 (1947) 50-60.
    """
    n, m = len(first), len(second)
    ranks: dict[float, float] = {}
    ties, passed = 0.0, 0
    for value, count in sorted(Counter([*first, *second]).items()):
        ranks[value] = passed + (count + 1) / 2
        passed += count
        ties += count**3 - count
    u = sum(ranks[value] for value in first) - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:
        return 0.5, 1.0
    distance = max(abs(u - n * m / 2) - 0.5, 0)
    return u / (n * m), math.erfc(distance / math.sqrt(2 * variance))


def forms(app: Flask) -> Mapping[str, Ask]:
    """Return what is compared: name -> one request about an address, and its status."""

    def poster(page: str, to: str, fields: Mapping[str, str]) -> Ask:
        client: FlaskClient = app.test_client()
        token = csrf_token(client.get(page).text)

        def ask(email: str) -> int:
            form = {"csrf_token": token, "email": email, **fields}
            return client.post(to, data=form).status_code

        return ask

    def passkey_begin() -> Ask:
        client: FlaskClient = app.test_client()
        headers = {"X-CSRFToken": csrf_token(client.get("/register").text)}
        to = "/register/passkey/options"
        return lambda email: client.post(to, json={"email": email}, headers=headers).status_code

    return {
        "login": poster("/login", "/login", {"password": WRONG}),
        "register": poster("/register", "/register", {"password": WRONG}),
        "forgot": poster("/recover", "/recover", {}),
        "passkey-begin": passkey_begin(),
    }


def open_accounts(app: Flask, addresses: Sequence[str]) -> None:
    """Give each address an account with a password."""
    placet = app.extensions["placet"]
    identity = placet.identity
    encoded = identity.passwords.choose(PASSWORD, email=None)
    for address in addresses:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            subject_id = placet.subjects.by_email(uow, address, keep=True)
            account = identity.accounts.open(uow, subject_id, role=Role.PERSON, language="es")
            placet.subjects.verify_email(uow, subject_id, address)
            identity.passwords.keep(uow, account, encoded)
            uow.commit()


def compare(app: Flask, ask: Ask, known: Sequence[str], unknown: Sequence[str]) -> Comparison:
    """Ask about both sides in random order and return the times.

    Raises:
        SystemExit: the two sides did not get the same status.
    """
    engine = app.extensions["placet"].runtime.database.engine
    order = [*known, *unknown] * (TRIES // len(known))
    chosen = random.Random(SEED)
    chosen.shuffle(order)
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    statuses: set[int] = set()
    kept = (AttemptRow, SignInTryRow, PendingRegistration, RecoveryRow, CeremonyRow, OutboxRow)
    gc.collect()
    gc.disable()
    for number, address in enumerate([*chosen.sample(order, WARM_UP), *order]):
        with engine.begin() as connection:  # what was asked before is not the question
            for table in kept:
                connection.execute(sa.delete(table))
        began = perf_counter()
        statuses.add(ask(address))
        took = perf_counter() - began
        if number >= WARM_UP:
            times["known" if address in known else "unknown"].append(took)
        if number % 100 == 0:
            gc.collect()
    gc.enable()
    if len(statuses) != 1:
        raise SystemExit(f"known and unknown addresses get different statuses: {statuses}")
    return Comparison(times["known"], times["unknown"])


def measure() -> list[dict[str, object]]:
    """Return the result rows, in the form that `bench/results.json` holds."""
    known = [f"person{number:02}@example.com" for number in range(PEOPLE)]
    unknown = [f"nobody{number:02}@example.com" for number in range(PEOPLE)]
    rows = list[dict[str, object]]()
    with tempfile.TemporaryDirectory() as name:
        app = create_app(settings_from({}, Path(name)))
        set_up(app)
        open_accounts(app, known)
        for form, ask in forms(app).items():
            rows.append(row(form, compare(app, ask, known, unknown)))
        app.extensions["placet"].runtime.database.engine.dispose()
    return rows


def row(form: str, found: Comparison) -> dict[str, object]:
    """Return and print one form's result."""
    chance, p = mann_whitney(found.known, found.unknown)
    known_ms, unknown_ms = (
        1000 * statistics.median(times) for times in (found.known, found.unknown)
    )
    print(
        f"{form:14} known {known_ms:8.3f} ms, unknown {unknown_ms:8.3f} ms, "
        f"ratio {found.ratio:.4f}, chance {chance:.3f}, p {p:.3f}",
        flush=True,
    )
    return {
        "name": f"enumeration-{form}",
        "value": round(p, 4),
        "unit": "two-sided p, Mann-Whitney U",
        "tries": len(found.known),
        "p50_ms": round(known_ms, 3),
        "chance": round(chance, 4),
        "floor": "the same form with an unknown address",
        "ratio": round(found.ratio, 4),
        "peer": None,
        "command": "make bench ONLY=enumeration",
    }
