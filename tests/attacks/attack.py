"""Credential stuffing, brute force, spraying and lock-out, against the forms of a running server."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

from privacy.network import network_of
from tests.attacks.browser import Answer, Browser
from tests.attacks.victims import Victim

COMMON = (
    "contraseña123456",
    "iloveyou12345678",
    "qwertyuiopasdfgh",
    "1234567890123456",
    "administrador2026",
    "realmadrid campeon",
)
CLIENTS = 12
"""Attackers at work at any moment."""

GUESSES = 5
"""Codes guessed after a right password, as many as a waiting sign-in bears."""


class Method(StrEnum):
    """How one attacker goes about it."""

    STUFFING = "stuffing"  # pairs of address and password leaked elsewhere, each once
    BRUTE_FORCE = "brute-force"  # one account, one password after the other
    SPRAYING = "spraying"  # one common password, all accounts
    LOCK_OUT = "lock-out"  # anything wrong, again and again, so that the owner cannot get in


@dataclass(frozen=True, slots=True)
class Attacker:
    """One address, one browser, and the pairs that it tries in this order."""

    address: str
    method: Method
    pairs: Sequence[tuple[str, str]]


@dataclass
class Tally:
    """What was sent and what was answered, counted at our side.

    Attributes:
        statuses: answers to passwords and to codes, by status.
        refused: answers 422 to a password, by e-mail address.
        refused_from: the same, by network.
        let_on: right passwords, which led to a further step, by e-mail address.
        shut_out: tries that were sent to prove the address first, by e-mail address.
        guessed: answers 422 to a code, by e-mail address.
        sessions: attackers whose browser opened the account page.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_from: Counter[str] = field(default_factory=Counter)
    let_on: Counter[str] = field(default_factory=Counter)
    shut_out: Counter[str] = field(default_factory=Counter)
    guessed: Counter[str] = field(default_factory=Counter)
    sessions: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        """Tries at a password or a code."""
        return self.statuses.total()

    def password(self, attacker: Attacker, email: str, answer: Answer) -> None:
        """Count the answer to a password."""
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.status == 422:
                self.refused[email] += 1
                self.refused_from[network_of(attacker.address)] += 1
            elif answer.location == "/login/prove":
                self.shut_out[email] += 1
            elif answer.status == 303:
                self.let_on[email] += 1

    def code(self, email: str, answer: Answer) -> None:
        """Count the answer to a code."""
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.status == 422:
                self.guessed[email] += 1


def plan(victims: Sequence[Victim], *, tries: int, addresses: int, seed: int) -> list[Attacker]:
    """Return attackers with about so many tries between them, the same for the same seed.

    Half of them sit in IPv6 networks, where each has a neighbour in the same /64. Whoever holds a
    right password comes first, and uses it first: before the accounts are on their guard.
    """
    chance = random.Random(seed)
    emails = [victim.email for victim in victims]
    strangers = [f"nobody{number}@example.com" for number in range(len(victims))]
    leaks = [(victim.email, victim.password) for victim in victims if victim.kind.password_is_known]
    each = tries // addresses
    attackers = []
    for number in range(addresses):
        method = list(Method)[number % len(Method)]
        if method is Method.STUFFING:
            pairs = [(chance.choice(emails + strangers), _word(chance)) for _ in range(each)]
            pairs[0] = leaks[number // len(Method) % len(leaks)]
        elif method is Method.SPRAYING:
            word = chance.choice(COMMON)
            pairs = [(email, word) for email in chance.sample(emails + strangers, len(emails) * 2)]
            pairs = [pairs[index % len(pairs)] for index in range(each)]
        else:
            target = chance.choice(emails)
            pairs = [(target, _word(chance)) for _ in range(each)]
        attackers.append(Attacker(_address(number), method, pairs))
    chance.shuffle(attackers)
    return sorted(attackers, key=lambda attacker: attacker.method is not Method.STUFFING)


def run(port: int, attackers: Sequence[Attacker], *, through_proxy: bool = True) -> Tally:
    """Let all attackers loose and return what came of it."""
    tally = Tally()

    def attack(attacker: Attacker) -> None:
        # The attacker claims another address each time; the proxy appends the true one.
        with Browser(port) as browser:
            for number, (email, password) in enumerate(attacker.pairs):
                claimed = f"203.0.113.{number % 256}"
                browser.forwarded_for = (
                    f"{claimed}, {attacker.address}" if through_proxy else claimed
                )
                answer = browser.submit("/login", {"email": email, "password": password})
                tally.password(attacker, email, answer)
                if answer.location == "/login/code":
                    _guess(browser, email, tally)
            if browser.get("/account").status == 200:
                with tally.lock:
                    tally.sessions.append(attacker.address)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(attack, attackers))
    return tally


def _guess(browser: Browser, email: str, tally: Tally) -> None:
    """Guess at the code that follows a right password, until the server has had enough."""
    for guess in range(GUESSES):
        code = f"{guess:06}" if guess % 2 else f"{guess:08}"  # as applications, or letters, say it
        answer = browser.submit("/login/code", {"code": code})
        tally.code(email, answer)
        if answer.status != 422:
            return


def _word(chance: random.Random) -> str:
    return f"{chance.choice(COMMON)}{chance.randrange(10**6)}"


def _address(number: int) -> str:
    if number % 2:
        network, host = divmod(number // 2, 2)
        return f"2001:db8:{network:x}::{host + 1:x}"
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
