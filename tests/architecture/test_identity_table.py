"""What docs/identity.md, docs/asvs.md and docs/operations.md say of identity is so."""

import ast
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from identity.accounts.attempts import ALLOWANCES, SPRAYED_ACCOUNTS, AttemptKind
from identity.risk.model import TRUST_LIFETIME
from identity.risk.suspicion import NOTICE_EVERY
from identity.sessions.model import MAX_CODES_WAITING, MAX_TRIES, WAITING_LIFETIME
from policies.assurance import FRESH_FOR
from policies.passwords import MIN_CONTEXT_WORD, MIN_LENGTH_ALONE
from policies.recovery import WAITING
from policies.throttling import FREE_FAILURES, LONGEST_WAIT, MAX_CONSECUTIVE_FAILURES
from policies.vocabulary import Scope
from privacy.settings import Settings
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

ROWS = range(1, 52)
#: Chapters V6 and V7 of ASVS 5.0.0: how many requirements each section has.
SECTIONS = {
    "6.1": 3,
    "6.2": 12,
    "6.3": 8,
    "6.4": 6,
    "6.5": 8,
    "6.6": 4,
    "6.7": 2,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 3,
    "7.6": 2,
}
LEVEL_3 = {
    *("6.3.5", "6.3.6", "6.3.7", "6.3.8", "6.4.5", "6.4.6", "6.5.6", "6.5.7", "6.5.8"),
    *("6.6.4", "6.7.1", "6.7.2", "7.5.3"),
}
LEVEL_1 = {
    *("6.1.1", "6.3.1", "6.3.2", "6.4.1", "6.4.2", "7.4.1", "7.4.2"),
    *(f"6.2.{number}" for number in range(1, 9)),
    *(f"7.2.{number}" for number in range(1, 5)),
}
#: Whatever may end in a session, or in a browser that an account knows, by the row that tells of it.
WAYS_IN: Mapping[str, str] = {
    "/login": "password",
    "/login/with/<provider_id>": "outside provider (`/login/with/<id>`)",
    "/login/code": "password and application",
    "/login/code/passkey": "passkey",
    "/login/code/passkey/options": "passkey",
    "/login/passkey": "passkey",
    "/login/passkey/options": "passkey",
    "/login/prove": "proof of the address (`/login/prove`)",
    "/login/prove/code": "proof of the address (`/login/prove`)",
    "/login/prove/link/<token>": "proof of the address (`/login/prove`)",
    "/login/again/code": "proving more (`/login/again`)",
    "/login/again/passkey": "proving more (`/login/again`)",
    "/login/again/passkey/options": "proving more (`/login/again`)",
    "/login/again/password": "proving more (`/login/again`)",
    "/recover": "forgotten password",
    "/recover/code": "forgotten password",
    "/recover/link/<token>": "forgotten password",
    "/recover/factor": "lost second factor",
    "/recover/factor/cancel/<recovery_id>/<mark>": "lost second factor",
    "/recover/factor/code": "lost second factor",
    "/recover/factor/finish/<token>": "lost second factor",
    "/recover/factor/link/<token>": "lost second factor",
    "/recover/factor/proof": "lost second factor",
    "/register": "registration, invitation",
    "/register/code": "registration, invitation",
    "/register/confirm/<token>": "registration, invitation",
    "/register/with": "registration, invitation",
    "/register/passkey/options": "registration, invitation",
    "/invitation/<token>": "registration, invitation",
    "/oauth/token": "application's token",
}
DOORS = ("/login", "/recover", "/register", "/invitation", "/oauth/token")


def _rows(document: str) -> list[list[str]]:
    """Return the cells of each row whose first cell is a number."""
    lines = (DOCS / document).read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return [row for row in rows if re.fullmatch(r"[0-9.]+", row[0])]


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("document", ["identity.md", "asvs.md"])
def test_every_file_and_test_that_a_table_names_exists(document: str) -> None:
    for number, *_middle, code, tests, holds in _rows(document):
        assert holds in {"yes", "partly", "no", "n/a"}, number
        if holds in {"yes", "partly"}:
            assert code, number
            assert tests, number
        for named in re.findall(r"`([^`]+)`", code):
            assert (ROOT / named).is_file(), (number, named)
        for named in re.findall(r"`([^`]+)`", tests):
            file, _, name = named.partition("::")
            assert (ROOT / "tests" / file).is_file(), (number, named)
            assert name in _tests_of(ROOT / "tests" / file), (number, named)


def test_every_row_stands_once_and_what_does_not_hold_is_explained() -> None:
    rows = _rows("identity.md")
    assert [int(row[0]) for row in rows] == [*ROWS]
    _check_explained("identity.md", [row[0] for row in rows if row[-1] in {"partly", "no"}])


def test_every_requirement_of_the_two_chapters_stands_once_with_its_level() -> None:
    rows = _rows("asvs.md")
    wanted = [f"{section}.{n}" for section, count in SECTIONS.items() for n in range(1, count + 1)]
    assert [row[0] for row in rows] == wanted
    levels = {name: 3 if name in LEVEL_3 else 1 if name in LEVEL_1 else 2 for name in wanted}
    assert {row[0]: int(row[1]) for row in rows} == levels
    _check_explained("asvs.md", [row[0] for row in rows if row[-1] in {"partly", "no"}])


def _check_explained(document: str, numbers: list[str]) -> None:
    text = (DOCS / document).read_text(encoding="utf-8")
    explained = [
        number
        for line in re.findall(r"^- ((?:\*\*[0-9.]+\*\*(?:, )?)+)", text, re.MULTILINE)
        for number in re.findall(r"\*\*([0-9.]+)\*\*", line)
    ]
    assert sorted(explained) == sorted(numbers)


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)


def test_every_limit_that_the_operations_page_names_is_the_code_s() -> None:
    text = " ".join((DOCS / "operations.md").read_text(encoding="utf-8").split())
    defaults = {
        field: Settings.__dataclass_fields__[field].default
        for field in ("session_idle_minutes", "session_absolute_hours")
    }
    free = FREE_FAILURES + ALLOWANCES[AttemptKind.ADDRESS].free
    assert MAX_CONSECUTIVE_FAILURES == 100
    assert MAX_TRIES == MAX_CODES_WAITING == 5
    assert FREE_FAILURES == 3
    assert timedelta(days=1) == NOTICE_EVERY
    for said in (
        "from the hundredth failure on",
        f"a network that failed on {SPRAYED_ACCOUNTS} accounts within the hour has one try in {_minutes(LONGEST_WAIT)} minutes",
        "five tries a sign-in, a hundred in a row",
        "three letters an hour to one address",
        "five sign-in codes in ten minutes, one warning a day",
        f"has {free} failures before the first second of waiting",
        f"A word of {['', '', '', 'three', 'four'][MIN_CONTEXT_WORD]} letters or more",
        f"trusts ({TRUST_LIFETIME.days} days), with a password of {MIN_LENGTH_ALONE} characters",
        f"{WAITING // timedelta(hours=1)} hours, letters, mailbox again",
        f"{defaults['session_idle_minutes']} minutes without a request",
        f"{defaults['session_absolute_hours']} hours in any case",
        f"at most {_minutes(FRESH_FOR)} minutes old",
    ):
        assert said in text, said
    assert _minutes(WAITING_LIFETIME) == 10


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_way_in_stands_in_the_operations_page(world: World) -> None:
    views = world.app.view_functions
    doors = {
        rule.rule
        for rule in world.app.url_map.iter_rules()
        if "POST" in (rule.methods or ())
        and rule.rule.startswith(DOORS)
        and getattr(views[rule.endpoint], "required_scope", None) in {Scope.PUBLIC, Scope.SIGNED_IN}
    }
    assert doors == set(WAYS_IN), doors ^ set(WAYS_IN)
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    table = text.split("### Ways in")[1].split("###")[0]
    told = {line.split("|")[1].strip() for line in table.splitlines() if line[:1] == "|"}
    assert set(WAYS_IN.values()) <= told, set(WAYS_IN.values()) - told
    assert told - set(WAYS_IN.values()) == {"way", "---", "password and recovery code"}


def test_signing_out_stands_in_every_layout() -> None:
    templates = ROOT / "templates"
    assert 'action="/logout"' in (templates / "base.html").read_text(encoding="utf-8")
    for page in sorted(templates.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if "{% block content %}" not in text or "mail" in page.parts or page.name == "base.html":
            continue  # a part of a page, or a letter
        assert re.search(r'\{% extends "(base|desk)\.html" %\}', text), page
        assert "{% block header" not in text, page
