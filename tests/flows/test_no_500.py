"""Every route with hostile input: nothing answers 5xx, nobody reads what is another's."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from flask import session as cookie
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from identity.accounts import store as accounts
from identity.administration.pages import ACT
from identity.provider.client_settings import ClientSettings
from policies.vocabulary import Attribute, ConsentChannel, Right, Role, Scope
from privacy.actor import ANONYMOUS, SYSTEM, Actor, ActorKind
from privacy.decisions.model import APPLICATION, PERSON, Question
from privacy.rights import store as rights
from privacy.rights.model import Asked
from tests.identity.people import BRUNO, account_of, register
from tests.support.cast import ANA
from tests.support.sample import DATABASES
from tests.support.smtp import MailServer
from tests.support.world import NOON, World

#: Stands in Ana's profile; nobody else may ever read it.
CANARY = "Canariensis"

READERS = ("Ana", "the desk")
#: What an address names of Ana's.
HERS = frozenset({"event_id", "reference", "request_id", "subject_id"})

#: Texts that break programs which expect something of a text.
TEXTS = (
    "",
    "\0",
    "a\0b",
    "\r\nSet-Cookie: stolen=1",
    "9" * 5000,
    "-1",
    str(2**63),
    "1e999",
    "NaN",
    "٣٤٥٦٧٨٩٠",
    "𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\ufffe",
    "../../../etc/passwd",
    "'\"><script>alert(1)</script>{{7*7}}%s%n",
    "x" * 20_000,
)
#: The same for JSON, where a value may be of any kind.
VALUES: tuple[object, ...] = (
    *TEXTS,
    "\ud800",
    None,
    True,
    10**400,
    -1.5e308,
    [],
    [[[]]],
    {},
    {"email": "\ud800"},
    {"\0": "\ud800"},
    ["ana@example.com"] * 3000,
)
RAW_BODIES = (
    b"\xff\xfe\x00%ff=%ff&=&&;",
    b"a=1&a=2&csrf_token=x&csrf_token=y",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"a": Infinity, "b": -NaN}',
    b"\xef\xbb\xbf{}",
    b'"\\ud800"',
    b"9" * 10_000,
    b"null",
    b'--x\r\nContent-Disposition: form-data; name="\xff\0"\r\n\r\n\0\r\n--x--',
)
MEDIA_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-7",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "\xff/\xff;;;=",
    "",
)
HEADERS: tuple[dict[str, str], ...] = (
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer pat_\xff\xfe"},
    {"Authorization": "Bearer " + "x" * 20_000},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic //79/w=="},
    {"Authorization": "Digest username="},
    {"Authorization": "\xff"},
    {"Cookie": "placet=\xff\xfe; placet-language=../x; session"},
    {"Cookie": "placet=" + "." * 4000},
    {"Accept": ";q=1e999,*/*;q=NaN,\xff"},
    {"Accept": "text/html"},
    {"Accept-Language": "x" * 4000 + ";q=-1, ;, \xff;q=é"},
    {"Content-Length": "0"},
    {"User-Agent": "<script>\xff" + "x" * 8000},
    {"X-Forwarded-For": "not an address, \xff"},
    {"X-Request-ID": "\xff" * 4000},
    {"Idempotency-Key": '"' + "\xff" * 300 + '"'},
    {"Idempotency-Key": '"a", "b"'},
    {"Host": "evil.example\\@:99999"},
    {"Range": "bytes=9999999999999999999999-"},
    {"If-Modified-Since": "never", "If-None-Match": "\xff"},
    {"Sec-Fetch-Site": "\xff"},
)
#: What each form or address takes where all is well; each member is then spoilt in turn.
WELL_FORMED: dict[str, dict[str, str]] = {
    "/admin/find": {"email": "nadie@example.com"},
    "/admin/invite": {"role": "dpo"},
    ACT: {"reason": "algo", "role": "staff", "session": "0" * 64},
    "/login": {"email": ANA, "password": "una frase larga y única", "next": "/privacy"},
    "/login/code": {"code": "123456", "next": "/privacy", "trust": "yes"},
    "/login/code/passkey": {"credential": "{}", "next": "/privacy"},
    "/login/passkey": {"credential": "{}", "next": "/privacy"},
    "/login/again/password": {"password": "x", "next": "/privacy", "action": "change-password"},
    "/login/again/code": {"code": "123456", "next": "/privacy", "action": "change-password"},
    "/login/again/passkey": {"credential": "{}", "next": "/privacy", "action": "change-password"},
    "/account/addresses/email": {"email": "n@example.com"},
    "/account/addresses/code": {"code": "12345678"},
    "/account/addresses/primary": {"address": BRUNO},
    "/account/addresses/remove": {"address": BRUNO, "kind": "phone"},
    "/account/devices/distrust": {"device": "0" * 32},
    "/account/devices/forget": {"device": "0" * 32},
    "/register": {"email": "n@example.com", "password": "otra frase, larga", "next": "/"},
    "/register/code": {"code": "12345678"},
    "/register/confirm/<token>": {"password": "una frase larga y única"},
    "/invitation/<token>": {"email": "n@example.com", "password": "otra frase, larga"},
    "/recover": {"email": ANA},
    "/recover/code": {"code": "12345678", "password": "una frase larga y única"},
    "/recover/link/<token>": {"password": "una frase larga y única"},
    "/account/password": {"current": "no es esta", "password": "una frase larga y única"},
    "/account/profile": {"attribute": "family_name", "value": CANARY, "action": "save"},
    "/account/notices": {"notice": "terms", "version": "1", "language": "es", "next": "/"},
    "/account/notices/later": {"purpose": "newsletter", "next": "/"},
    "/account/asks/<request_id>": {"given_name": "Ana", "action": "give"},
    "/account/language": {"language": "es"},
    "/account/sessions/end": {"session": "0" * 64},
    "/account/totp/confirm": {"code": "123456"},
    "/account/totp/remove": {"code": "123456"},
    "/privacy/consents": {
        "purpose": "newsletter",
        "action": "grant",
        "notice_version": "2",
        "language": "es",
    },
    "/rights": {
        "right": "rectification",
        "email": ANA,
        "message": "hola",
        "attribute": "given_name",
        "value": "Ana",
        "purpose": "newsletter",
    },
    "/rights/code": {"code": "12345678"},
    "/rights/requests/<reference>/data": {"form": "json"},
    "/dpo/requests/<request_id>/answer": {
        "answer": "refuse",
        "text": "no",
        "attribute": "given_name",
        "value": "Ana",
        "purpose": "newsletter",
    },
    "/dpo/consents/person": {"email": ANA, "purpose": "newsletter", "from": "2026-01-01"},
    "/dpo/people": {"person": ANA},
    "/dpo/people/<subject_id>/<any(restrict, announce, lift, deceased, alive):act>": {
        "reason": "algo",
        "told": "yes",
    },
    "/dpo/people/<subject_id>/guardians/invite": {"email": BRUNO, "relation": "parent"},
    "/dpo/word/<subject_id>": {
        "purpose": "newsletter",
        "said": "given",
        "said_by": "staff",
        "said_on": "2026-03-01",
        "channel": "store",
        "language": "es",
        "notice_version": "2",
        "explicit": "yes",
        "who": "Ana",
        "authority": "poder",
        "note": "lo dijo",
    },
    "/privacy/children/<guardianship_id>": {
        "purpose": "newsletter",
        "action": "grant",
        "notice_version": "2",
        "language": "es",
    },
    "/privacy/asked/<string(maxlength=64):token>": {
        "answer": "no",
        "notice_version": "1",
        "language": "es",
    },
    "/privacy/guardian": {"email": BRUNO, "relation": "parent"},
    "/privacy/marketing": {"purpose": "newsletter"},
    "/dpo/consents/export": {"form": "csv", "purpose": "newsletter", "to": "2026-12-31"},
    "/oauth/token": {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://x"},
    "/oauth/introspect": {"token": "pat_x"},
    "/oauth/revoke": {"token": "pat_x"},
    "/oauth/userinfo": {"access_token": "pat_x"},
}
QUERIES: dict[str, dict[str, str]] = {
    "/login": {"next": "/privacy", "reauth": "1", "lang": "es"},
    "/register": {"next": "/privacy"},
    "/login/again": {"next": "/privacy", "action": "change-password", "resend": "1"},
    "/rights": {"right": "access"},
    "/dpo": {"page": "1", "right": "access", "state": "open", "reference": "D", "overdue": "yes"},
    "/dpo/consents": {
        "purpose": "newsletter",
        "action": "given",
        "channel": "web",
        "from": "2026-01-01",
        "to": "2026-12-31",
        "person": "0" * 32,
        "after": "1",
        "before": "1",
    },
    "/v1/reports/consents": {"purpose": "newsletter", "limit": "10", "after": "1"},
    "/v1/consents": {"subject": "d1v1_x"},
    "/v1/pseudonyms/aliases": {"after": "1"},
    "/v1/audit/proof": {"entry_id": "0" * 32},
    "/oauth/authorize": {
        "client_id": "0" * 32,
        "redirect_uri": "https://x/",
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "nonce": "n",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "prompt": "login",
        "max_age": "1",
        "placet_done": "x",
    },
}


@dataclass
class Stage:
    """The deployment with Ana's data in it, and who may act.

    Attributes:
        bearer: the application's own access token, for what is answered before Flask.
        playing: who acts.
        sent: how many requests there were.
    """

    world: World
    actors: dict[str, Actor]
    ids: dict[str, str]
    bearer: str
    playing: Actor = ANONYMOUS
    sent: int = 0
    faults: list[str] = field(default_factory=list)

    def play(self, actor: Actor) -> None:
        """Have every request come from this caller from now on."""
        self.playing = actor
        self.world.app.extensions["placet.session"] = lambda: (
            actor if actor.kind is ActorKind.PERSON else None
        )
        self.world.app.extensions["placet.bearer"] = lambda: (
            actor if actor.kind is ActorKind.APPLICATION else None
        )

    def patience(self) -> None:
        """Forget every counter, so that the views are reached and not only their brakes."""
        with self.world.placet.runtime.database.engine.begin() as connection:
            connection.execute(sa.delete(accounts.AttemptRow))
            connection.execute(sa.delete(rights.AttemptRow))


def person(subject_id: str, account_id: str, *scopes: Scope, role: Role = Role.PERSON) -> Actor:
    return Actor(
        kind=ActorKind.PERSON,
        scopes=frozenset({Scope.SIGNED_IN, *scopes}),
        subject_id=subject_id,
        account_id=account_id,
        role=role,
        session_id="0" * 64,
        methods=("pwd", "mfa", "swk", "user"),
        authenticated_at=NOON,
        address="192.0.2.1",
    )


@pytest.fixture
def stage(world: World, mail_server: MailServer) -> Stage:
    """Ana with a name, a consent and two requests; Bruno, the desk and an application beside."""
    register(world, mail_server)
    register(world, mail_server, BRUNO)
    ana, bruno = account_of(world), account_of(world, BRUNO)
    placet = world.placet
    her = person(ana.subject_id, ana.account_id)
    his = person(bruno.subject_id, bruno.account_id)
    with placet.runtime.unit_of_work(her) as uow:
        placet.subjects.rectify(uow, ana.subject_id, Attribute.FAMILY_NAME, CANARY)
        uow.commit()
    with placet.runtime.unit_of_work(her) as uow:
        event = placet.consents.give(
            uow,
            ana.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.WEB,
        )
    application, bearer = caller(world)
    with placet.runtime.unit_of_work(application) as uow:
        name = placet.pseudonyms.issue(uow, application.domain, ana.subject_id)
        asked = Question(APPLICATION, application.client_id or "", "recommendations", PERSON, name)
        ask = placet.access_requests.make(uow, asked, None)
    with placet.runtime.unit_of_work(her) as uow:
        access = placet.rights.ask_in_portal(uow, ana.subject_id, Asked(Right.ACCESS, "es"))
    with placet.runtime.unit_of_work(her) as uow:
        open_ = placet.rights.ask_in_portal(
            uow, ana.subject_id, Asked(Right.RESTRICTION, "es", CANARY)
        )
    with placet.runtime.unit_of_work(ANONYMOUS) as uow:
        pending = placet.rights.ask_by_form(uow, Asked(Right.ACCESS, "es"), ANA, "192.0.2.9")
    world.settle()
    return Stage(
        world=world,
        actors={
            "anonymous": ANONYMOUS,
            "Ana": her,
            "Bruno": his,
            "the desk": person("0" * 32, "0" * 32, Scope.DESK, role=Role.DPO),
            "administration": person(
                "1" * 32, "1" * 32, Scope.ADMINISTRATION, role=Role.ADMINISTRATOR
            ),
            "the application": application,
        },
        ids={
            "event_id": event.event_id,
            "subject_id": ana.subject_id,
            "reference": access.reference,
            "request_id": open_.request_id,
            "pending": pending,
            "account_id": bruno.account_id,
            "act": "disable",
            "invitation_id": "0" * 32,
            "token": ask.token,
        },
        bearer=bearer,
    )


def caller(world: World) -> tuple[Actor, str]:
    """A registered application that may do all that applications may, and its access token."""
    runtime, scopes = world.placet.runtime, [scope.value for scope in Scope if ":" in scope.value]
    purposes = ["newsletter", "recommendations"]
    with runtime.unit_of_work(SYSTEM) as uow:
        settings = ClientSettings(name="shop", scopes=scopes, purposes=purposes)
        client, _secret = world.placet.clients.add(uow, settings)
    with runtime.unit_of_work(SYSTEM) as uow:
        form = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
        token = world.placet.provider.exchange(uow, client, form).access_token
    actor = Actor(
        kind=ActorKind.APPLICATION,
        scopes=frozenset(Scope(scope) for scope in scopes),
        client_id=client.client_id,
        domain=client.sector,
        purposes=frozenset(purposes),
    )
    return actor, token


def routes(stage: Stage) -> list[tuple[Rule, str, Scope]]:
    """Every (rule, method, scope) but the static files; what ends Ana or a session comes last."""
    app = stage.world.app
    found = [
        (rule, method, cast("Scope", vars(app.view_functions[rule.endpoint])["required_scope"]))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda route: (route[0].rule.startswith("/rights/<"), route[0].rule))


def entitled(scope: Scope) -> str:
    """Whom a scope belongs to."""
    if scope is Scope.PUBLIC:
        return "anonymous"
    if scope is Scope.SIGNED_IN:
        return "Ana"
    if scope is Scope.ADMINISTRATION:
        return "administration"
    return "the desk" if scope is Scope.DESK else "the application"


class Browser:
    """Sends one request after the other, with a token for each form, and notes every 5xx."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.client: FlaskClient = stage.world.client
        with stage.world.app.test_request_context("/"):
            self.token = generate_csrf()
            self._kept = {
                "csrf_token": cookie["csrf_token"],
                "registration": "0" * 32,
                "recovery": "0" * 32,
                "second-step": "x",
                "passkey-ceremony": "x",
                "new-address": {"id": "0" * 32, "kind": "email"},
                "rights_pending": stage.ids["pending"],
            }

    def send(self, method: str, path: str, **sent: Any) -> TestResponse:
        """Send a request and return the answer."""
        with self.client.session_transaction() as session:
            session.update(self._kept)
        if self._stage.playing.kind is ActorKind.APPLICATION:
            own = {"Authorization": f"Bearer {self._stage.bearer}"}
            sent["headers"] = own | sent.get("headers", {})
        self._stage.sent += 1
        response = self.client.open(path, method=method, buffered=True, **sent)
        if response.status_code >= 500 and not path.startswith("/readyz"):
            shown = {name: str(value)[:80] for name, value in sent.items()}
            self._stage.faults.append(f"{response.status_code} {method} {path[:120]} {shown}")
        return response


def address(stage: Stage, rule: Rule, **spoilt: str) -> str:
    """The route's address with ids that exist, except where one is spoilt."""
    path = rule.rule
    for name in rule.arguments:
        kept = {"name": "0/000", "token": "x" * 43, "code": "not-found", "right": "access"}
        value = spoilt.get(name) or {**kept, **stage.ids}.get(name, "0" * 32)
        place = re.search(rf"<(?:([^<>]*):)?{name}>", path)
        assert place, f"{rule} has no {name}"
        options = re.findall(r"[\w-]+", (place[1] or "").removeprefix("any"))
        if (place[1] or "").startswith("any(") and name not in spoilt and value not in options:
            value = options[0]
        path = path.replace(place[0], quote(value, safe=""))
    return path


def spoilt(members: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Every member in turn with every hostile text."""
    for name in members:
        for text in TEXTS:
            yield {**members, name: text}


def spoilt_json(example: Any, depth: int = 0) -> Iterator[Any]:
    """A JSON value with every hostile value in every place of it."""
    yield from VALUES
    if isinstance(example, dict) and depth < 3:
        yield {**example, "unknown": 1}
        for name, inner in example.items():
            for bad in spoilt_json(inner, depth + 1):
                yield {**example, name: bad}


def attack(stage: Stage, browser: Browser, rule: Rule, method: str, turn: slice) -> None:
    """Send what is hostile to one route: of what is the same for all of them, each its share."""
    stage.patience()
    path = address(stage, rule)
    for name in rule.arguments:
        for text in TEXTS:
            if text:
                browser.send(method, address(stage, rule, **{name: text}))
        browser.send(method, path.rsplit("/", 1)[0] + "/%ff%00%c0%af")
    for headers in HEADERS[turn]:
        browser.send(method, path, headers=headers)
    queries = [urlencode(each) for each in spoilt(QUERIES.get(rule.rule, {}))]
    queries += [urlencode(each) for each in spoilt({"lang": "es"})][turn]
    queries += ["%ff=%ff&%00=%00", "&".join(f"{name}=1&{name}=2" for name in "abc"), "?" * 9000]
    for query in queries:
        browser.send(method, f"{path}?{query}")
    if method == "GET":
        return
    token = {"csrf_token": browser.token}
    for number, members in enumerate(spoilt(WELL_FORMED.get(rule.rule, {}))):
        if number % 4 == 0:
            stage.patience()
        browser.send(method, path, data={**members, **token})
    doubled = [(name, "1") for name in (*WELL_FORMED.get(rule.rule, {}), *token)] * 2
    browser.send(method, path, data=urlencode(doubled), content_type=MEDIA_TYPES[1])
    for number, body in list(enumerate(RAW_BODIES))[turn]:
        kind = MEDIA_TYPES[number % len(MEDIA_TYPES)]
        named = {"X-CSRFToken": browser.token}
        browser.send(method, path, data=body, content_type=kind, headers=named)
        browser.send(method, path, data=body, content_type=MEDIA_TYPES[0], headers=named)
    operation = getattr(stage.world.app.view_functions[rule.endpoint], "operation", None)
    if operation is not None:
        own = stage.actors["the application"].client_id
        for value in spoilt_json(operation.example):
            text = json.dumps(value).replace('"shop"', f'"{own}"')
            browser.send(method, path, data=text, content_type=MEDIA_TYPES[0])


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # the stricter one
def test_no_route_answers_5xx_to_hostile_input(stage: Stage) -> None:
    _attack_all(stage, shares=4)


@pytest.mark.soak
def test_no_route_answers_5xx_to_anything_hostile_that_we_know(stage: Stage) -> None:
    _attack_all(stage, shares=1)
    assert stage.sent >= 10_000


def _attack_all(stage: Stage, *, shares: int) -> None:
    browser = Browser(stage)
    for number, (rule, method, scope) in enumerate(routes(stage)):
        stage.play(stage.actors[entitled(scope)])
        attack(stage, browser, rule, method, slice(number % shares, None, shares))
    assert stage.faults == []


@DATABASES
def test_nobody_reads_or_does_what_is_anothers(stage: Stage) -> None:
    opened, hers = list[str](), stage.actors["Ana"].subject_id
    reports = frozenset({Scope.REPORTS_READ})  # the DPO's own program reads of everybody
    for name, known in stage.actors.items():
        actor = replace(known, scopes=known.scopes - reports)
        stage.play(actor)
        browser = Browser(stage)
        for rule, method, scope in routes(stage):
            stage.patience()
            sent = {"data": {"csrf_token": browser.token}} if method == "POST" else {}
            answer = browser.send(method, address(stage, rule), **sent)
            shown = answer.get_data()  # not all of it is text
            shows_ana = CANARY.encode() in shown or str(hers).encode() in shown
            if shows_ana and name not in READERS:
                opened.append(f"{name} reads Ana: {method} {rule}")
            if rule.arguments & HERS and name not in READERS and answer.status_code < 300:
                opened.append(f"{name} is shown what is Ana's: {method} {rule}")
            if not actor.may(scope) and answer.status_code not in (303, 401, 403):
                opened.append(f"{name} at {method} {rule}: {answer.status}")
            if not actor.may(scope) and answer.status_code == 303:
                assert str(answer.location).startswith("/login?next="), answer.location
    assert opened == []
    assert stage.faults == []
