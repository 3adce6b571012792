"""The people whose accounts are attacked, each with a browser at home that the account knows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pyotp

from app import Placet, create_app, read_settings
from identity.accounts.attempts import AttemptKind
from identity.accounts.client import Client
from identity.accounts.model import Account
from policies.throttling import LONGEST_WAIT, MAX_CONSECUTIVE_FAILURES
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from tests.attacks.browser import FIREFOX, Answer, Browser
from tests.support.deployment import Deployment
from tests.support.processes import wait_until
from tests.support.smtp import MailServer

DEVICE_COOKIE = "placet-device"
BEFORE = timedelta(days=3)
"""So long before the attack everything was set up."""

PROOF_SUBJECT = "Demuestra que el correo es tuyo"


class Kind(StrEnum):
    """What protects an account."""

    GOOD = "good"  # a password that the attacker does not have
    TWO_STEP = (
        "two-step"  # a password that the attacker has, and codes, guessed at 99 times already
    )
    LEAKED = "leaked"  # a password that the attacker has, and nothing else
    BESIEGED = "besieged"  # a good password that strangers have tried 99 times already

    @property
    def password_is_known(self) -> bool:
        """Whether the attacker's list has the account's password."""
        return self in {Kind.TWO_STEP, Kind.LEAKED}


@dataclass(frozen=True, slots=True)
class Victim:
    """An account's owner, and what they alone hold."""

    number: int
    kind: Kind
    email: str
    password: str = field(repr=False)
    account_id: str
    device_token: str = field(repr=False)
    totp: pyotp.TOTP | None = field(repr=False)

    @property
    def home(self) -> str:
        """The network address of the browser that the account knows."""
        return f"198.51.100.{self.number + 1}"

    @property
    def elsewhere(self) -> str:
        """The network address of a browser that it does not know."""
        return f"2001:db8:cafe:{self.number:x}::1"

    def device_cookie(self) -> dict[str, str]:
        """What the browser at home holds after its session has ended."""
        return {DEVICE_COOKIE: self.device_token}


@dataclass
class PatientClock:
    """Runs some days late, and catches up while strangers wait between two tries."""

    behind: timedelta = BEFORE

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.behind


@contextmanager
def opened(deployment: Deployment, clock: PatientClock) -> Iterator[Placet]:
    """The deployment in this process, for what is not the attack itself."""
    placet: Placet = create_app(read_settings(deployment.environment), clock).extensions["placet"]
    try:
        yield placet
    finally:
        placet.runtime.database.engine.dispose()


def settle(placet: Placet, clock: PatientClock, kinds: list[Kind]) -> list[Victim]:
    """Open an account for each kind, some days before the attack, and return their owners."""
    victims = [_open(placet, clock, number, kind) for number, kind in enumerate(kinds)]
    besieged = [victim for victim in victims if victim.kind is Kind.BESIEGED]
    guarded = [victim for victim in victims if victim.totp is not None]
    for number in range(MAX_CONSECUTIVE_FAILURES - 1):
        # All but one of the tries that an account bears, with the longest wait between them.
        for victim in besieged:
            stranger = Client(f"192.0.2.{number}", FIREFOX)
            placet.attempts.begin_sign_in(victim.email, stranger, None)
        for victim in guarded:
            placet.attempts.begin_code(victim.account_id, None)
        clock.behind -= LONGEST_WAIT
    assert clock.behind > LONGEST_WAIT, "the siege takes longer than there was time"
    clock.behind = timedelta(0)
    return victims


def _open(placet: Placet, clock: PatientClock, number: int, kind: Kind) -> Victim:
    identity, email = placet.identity, f"person{number}@example.com"
    password = f"acantilado nublado {number * 7919} zarza"
    encoded = identity.passwords.choose(password, email=email)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, email, keep=True)
        placet.subjects.verify_email(uow, subject_id, email)
        account = identity.accounts.open(uow, subject_id, role=Role.PERSON, language="es")
        identity.passwords.keep(uow, account, encoded)
        home = Client(f"198.51.100.{number + 1}", FIREFOX)
        token, _device = identity.devices.remember(uow, account, home, token=None, trust=False)
        uow.commit()
    totp = _enrol(placet, clock, account) if kind is Kind.TWO_STEP else None
    return Victim(number, kind, email, password, account.account_id, token, totp)


def _enrol(placet: Placet, clock: PatientClock, account: Account) -> pyotp.TOTP:
    second_factor = placet.identity.second_factor
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        second_factor.begin(uow, account)
    with placet.runtime.snapshot() as session:
        secret = second_factor.secret_to_confirm(session, account, now=clock())
    assert secret is not None
    totp = pyotp.TOTP(secret)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        second_factor.confirm(uow, account, totp.at(clock()))
    return totp


def failures(placet: Placet, victim: Victim) -> int:
    """Return how often strangers have tried the password in a row, as the server counts."""
    counter = placet.attempts.of_email(AttemptKind.PASSWORD, victim.email)
    with placet.runtime.snapshot() as session:
        return placet.attempts.failures(session, counter)


def guessed_codes(placet: Placet, victim: Victim) -> int:
    """Return how often strangers have tried a code in a row, as the server counts."""
    counter = placet.attempts.of_account(AttemptKind.OTP, victim.account_id)
    with placet.runtime.snapshot() as session:
        return placet.attempts.failures(session, counter)


def sign_in_from_home(port: int, victim: Victim) -> None:
    """The owner signs in at the first try, in the browser that the account knows."""
    with Browser(port, forwarded_for=victim.home, cookies=victim.device_cookie()) as browser:
        answer = _give_password(browser, victim)
        if victim.totp is not None:
            assert answer.location == "/login/code", (victim, answer)
            answer = browser.submit("/login/code", {"code": victim.totp.now()})
        assert answer.status == 303, (victim, answer)
        assert browser.get("/account").status == 200, victim


def sign_in_from_elsewhere(port: int, victim: Victim, mail: MailServer) -> None:
    """The owner proves the address in an unknown browser, and then signs in at the first try."""
    with Browser(port, forwarded_for=victim.elsewhere) as browser:
        answer = browser.submit("/login/prove", {"email": victim.email})
        assert answer.location == "/login/prove/code", (victim, answer)
        answer = browser.submit("/login/prove/code", {"code": _proof(mail, victim)})
        assert answer.location == "/login", (victim, answer)
        answer = _give_password(browser, victim)
        if victim.totp is not None:
            assert answer.location == "/login/code", (victim, answer)
            later = datetime.now(UTC) + timedelta(seconds=victim.totp.interval)
            answer = browser.submit("/login/code", {"code": victim.totp.at(later)})
        assert answer.status == 303, (victim, answer)
        assert browser.get("/account").status == 200, victim


def _give_password(browser: Browser, victim: Victim) -> Answer:
    answer = browser.submit("/login", {"email": victim.email, "password": victim.password})
    assert answer.status == 303, (victim, answer, answer.headers.get("Retry-After"))
    return answer


def _proof(mail: MailServer, victim: Victim) -> str:
    def letters() -> list[str]:
        return [
            str(message.get_body(preferencelist=("plain",)))
            for message in mail.messages_to(victim.email)
            if message["Subject"] == PROOF_SUBJECT
        ]

    wait_until(lambda: bool(letters()), f"the proof's letter to {victim}", seconds=60)
    found = re.search(r"\b\d{8}\b", letters()[0])
    assert found
    return found[0]
