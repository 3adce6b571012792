"""Nobody gets into an account by guessing, and nobody keeps its owner out."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import Placet
from identity.accounts.attempts import AttemptKind
from identity.accounts.store import AttemptRow, SignInTryRow
from identity.sessions.model import MAX_CODES_WAITING
from identity.sessions.store import SessionRow
from policies.throttling import FREE_FAILURES, MAX_CONSECUTIVE_FAILURES
from policies.vocabulary import EventTag
from privacy.audit.sequencer import read_verifier
from privacy.audit.store import Entry
from privacy.audit.verification import verify_log
from privacy.network import network_of
from privacy.outbox import OutboxRow
from tests.attacks import attack
from tests.attacks.attack import Attacker, Method, Tally
from tests.attacks.victims import (
    PROOF_SUBJECT,
    Kind,
    PatientClock,
    Victim,
    failures,
    guessed_codes,
    opened,
    settle,
    sign_in_from_elsewhere,
    sign_in_from_home,
)
from tests.support.deployment import Deployment
from tests.support.processes import wait_until
from tests.support.smtp import MailServer

SEED = 20_261_122
SUSPICIOUS = "Alguien intenta entrar en tu cuenta"
CODE_LETTER = "Tu código para iniciar sesión"
FACTOR_ADDED = "Has añadido un segundo factor"
PASSWORD_KNOWN = "Alguien ha escrito tu contraseña"
NEW_DEVICE = "Has iniciado sesión en un dispositivo nuevo"

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass(frozen=True, slots=True)
class Scene:
    """A deployment behind one proxy, its people, and what strangers did to them."""

    deployment: Deployment
    victims: list[Victim]
    attackers: list[Attacker]
    tally: Tally
    began: datetime
    seconds: float


def _deployment(database_url: str, instance: Path, mail: MailServer, *, proxies: int) -> Deployment:
    settings = {"PLACET_MAIL_PORT": str(mail.port), "PLACET_TRUSTED_PROXIES": str(proxies)}
    return Deployment(database_url, instance, settings=settings)


def _attack_and_check(
    deployment: Deployment, mail: MailServer, kinds: list[Kind], *, tries: int, addresses: int
) -> Scene:
    clock = PatientClock()
    with opened(deployment, clock) as placet:
        victims = settle(placet, clock, kinds)
        attackers = attack.plan(victims, tries=tries, addresses=addresses, seed=SEED)
        with deployment.serving():
            began, started = datetime.now(UTC), time.monotonic()
            tally = attack.run(deployment.port, attackers)
            seconds = time.monotonic() - started
            scene = Scene(deployment, victims, attackers, tally, began, seconds)
            wait_until(lambda: _is_written_down(placet), "the worker has written all", seconds=300)
            _check_nobody_got_in(placet, scene)
            _check_counters(placet, scene)
            _owners_sign_in(scene, mail)
        _check_log(placet)
    _check_letters(scene, mail)
    return scene


def _is_written_down(placet: Placet) -> bool:
    """The worker, which alone looks whose account a wrong password was tried at, has done so."""
    with placet.runtime.snapshot() as session:
        waiting = sa.select(OutboxRow.row_id)
        return _count(session, waiting) == 0


def _check_nobody_got_in(placet: Placet, scene: Scene) -> None:
    tally = scene.tally
    assert set(tally.statuses) <= {303, 422, 429}, tally.statuses
    assert tally.sessions == []
    with placet.runtime.snapshot() as session:
        assert _count(session, sa.select(SessionRow.session_digest)) == 0
    besieged = {victim.email for victim in scene.victims if victim.kind is Kind.BESIEGED}
    assert set(tally.shut_out) == besieged
    # Only a right password led on; and the attackers had both kinds, so both were put to the test.
    known = {victim.email: victim.kind for victim in scene.victims if victim.kind.password_is_known}
    assert set(tally.let_on) <= set(known)
    assert {known[email] for email in tally.let_on} == {Kind.TWO_STEP, Kind.LEAKED}


def _check_counters(placet: Placet, scene: Scene) -> None:
    """What the server counted is what was sent and answered, to the last try."""
    tally = scene.tally
    people = {victim.email for victim in scene.victims}
    for victim in scene.victims:
        tried = tally.refused[victim.email]
        if victim.kind is Kind.GOOD:
            assert failures(placet, victim) == tried
        if victim.kind is Kind.BESIEGED:
            assert tried <= 1
            assert failures(placet, victim) == MAX_CONSECUTIVE_FAILURES - 1 + tried
        if victim.kind is Kind.TWO_STEP:
            guessed = tally.guessed[victim.email]
            assert guessed <= 1
            assert guessed_codes(placet, victim) == MAX_CONSECUTIVE_FAILURES - 1 + guessed
    with placet.runtime.snapshot() as session:
        tries = sa.select(SignInTryRow.try_id).where(SignInTryRow.at >= scene.began)
        assert _count(session, tries) == tally.refused.total()
        for attacker in scene.attackers:
            counter = placet.attempts.of_network(AttemptKind.ADDRESS, attacker.address)
            assert counter is not None
            row = session.get(AttemptRow, (counter.kind.value, counter.key_digest))
            counted = row.failures if row else 0
            assert counted == tally.refused_from[network_of(attacker.address)]
        unknown = session.get_one(AttemptRow, (AttemptKind.UNKNOWN.value, "all")).failures
        assert unknown == sum(tally.refused[email] for email in set(tally.refused) - people)
        failed = sum(tally.refused[email] for email in people) + tally.guessed.total()
        assert _events(session, EventTag.SESSIONS_SIGN_IN_FAILED) == failed
        assert _events(session, EventTag.SESSIONS_SIGN_IN_SUCCEEDED) == 0


def _owners_sign_in(scene: Scene, mail: MailServer) -> None:
    port = scene.deployment.port
    with ThreadPoolExecutor(attack.CLIENTS) as pool:
        list(pool.map(lambda victim: sign_in_from_home(port, victim), scene.victims))
        list(pool.map(lambda victim: sign_in_from_elsewhere(port, victim, mail), scene.victims))


def _check_log(placet: Placet) -> None:
    sequencer = placet.sequencer()
    while sequencer.run_once():
        pass
    with placet.runtime.snapshot() as session:
        found = verify_log(
            session, placet.log, read_verifier(placet.keys_folder), cross_checks=placet.cross_checks
        )
    assert found.ok, found


def _check_letters(scene: Scene, mail: MailServer) -> None:
    """A person got no more letters than those that are promised, and a stranger's address none."""
    for victim in scene.victims:
        subjects = [str(message["Subject"]) for message in mail.messages_to(victim.email)]
        most = {SUSPICIOUS: 1, PROOF_SUBJECT: 1, NEW_DEVICE: 1}
        if victim.kind is Kind.LEAKED:
            most[CODE_LETTER] = MAX_CODES_WAITING
        if victim.kind is Kind.TWO_STEP:
            most[FACTOR_ADDED] = 1  # their own doing, days ago
            most[PASSWORD_KNOWN] = 1
        for subject in set(subjects):
            assert subjects.count(subject) <= most.get(subject, 0), (victim, subjects)
    people = {victim.email for victim in scene.victims}
    assert {str(message["To"]) for message in mail.messages} <= people


def _count(session: Session, query: sa.Select[str]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0


def _events(session: Session, tag: EventTag) -> int:
    leaves: Sequence[bytes] = session.scalars(sa.select(Entry.leaf)).all()
    return sum(json.loads(leaf)["type"] == tag.value for leaf in leaves)


@on_sqlite
def test_an_attack_from_many_addresses_opens_no_account_and_shuts_no_owner_out(
    database_url: str, instance: Path, mail_server: MailServer
) -> None:
    deployment = _deployment(database_url, instance, mail_server, proxies=1)
    kinds = [Kind.GOOD, Kind.GOOD, Kind.TWO_STEP, Kind.LEAKED, Kind.BESIEGED]
    scene = _attack_and_check(deployment, mail_server, kinds, tries=300, addresses=20)
    assert scene.tally.sent >= 300


@pytest.mark.soak
def test_ten_thousand_tries_from_two_hundred_addresses_open_no_account_and_shut_no_owner_out(
    database_url: str,
    database_kind: str,
    instance: Path,
    mail_server: MailServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployment = _deployment(database_url, instance, mail_server, proxies=1)
    kinds = [Kind.GOOD] * 25 + [Kind.TWO_STEP] * 10 + [Kind.LEAKED] * 10 + [Kind.BESIEGED] * 5
    scene = _attack_and_check(deployment, mail_server, kinds, tries=10_000, addresses=200)
    assert scene.tally.sent >= 10_000
    with capsys.disabled():
        print(_summary(scene, database_kind))  # noqa: T201 - the line is the run's result


def _summary(scene: Scene, database_kind: str) -> str:
    """A line for docs/soak.md."""
    tally = scene.tally
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(tally.statuses.items()))
    methods = ", ".join(method.value for method in Method)
    return (
        f"\n{scene.began:%Y-%m-%d} | sign-in attack, {database_kind} | {tally.sent} tries ({methods}) "
        f"at {len(scene.victims)} accounts from {len(scene.attackers)} addresses in "
        f"{scene.seconds:.0f} s; answers: {answers} | no session for any attacker, "
        f"{tally.let_on.total()} right passwords stopped at the next step, {len(scene.victims)} of "
        f"{len(scene.victims)} owners signed in from home and from elsewhere, log verified"
    )


@pytest.mark.soak
@on_sqlite
def test_without_a_trusted_proxy_a_caller_that_claims_ever_new_addresses_counts_as_one(
    database_url: str, instance: Path, mail_server: MailServer
) -> None:
    deployment = _deployment(database_url, instance, mail_server, proxies=0)
    pairs = [(f"nobody{number}@example.com", "una frase cualquiera") for number in range(60)]
    with deployment.serving():
        liar = Attacker("127.0.0.1", Method.SPRAYING, pairs)
        tally = attack.run(deployment.port, [liar], through_proxy=False)
    # It is let try as many accounts as one network may, and then waits; the rest is not looked at.
    assert tally.statuses == {422: 20, 429: 40}
    with (
        opened(deployment, PatientClock()) as placet,
        placet.runtime.snapshot() as session,
    ):
        networks = session.scalars(sa.select(SignInTryRow.network_digest).distinct()).all()
    assert len(networks) == 1
    assert tally.refused_from.total() > FREE_FAILURES
