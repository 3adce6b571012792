"""`POST /v1/consents` before Flask answers as the ordinary way does, and only where it may."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from policies.consent_history import standing
from policies.vocabulary import ConsentAction, ConsentChannel, Scope
from privacy.actor import SYSTEM, Actor
from privacy.audit.store import Payload
from privacy.consent.applications import Recorded, Word
from privacy.consent.shortcut import ConsentShortcut
from privacy.consent.store import EventRow, to_event, to_word
from privacy.consent.usual_store import UsualStore
from privacy.database import Door
from privacy.unit_of_work import UnitOfWork
from tests.support.cast import (
    SCOPES,
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    withdraw,
)
from tests.support.processes import wait_until
from tests.support.world import World

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
EVENT_COLUMNS = [str(column.key) for column in EventRow.__table__.columns]
TOKEN = "pat_" + "x" * 43
SHOP = application(scopes=SCOPES - {Scope.CONSENTS_READ})


@pytest.fixture
def ana(world: World) -> Person:
    """Ana, known to the shop, which calls by one token on either way."""
    calls_as(world, SHOP)
    shortcut_of(world)._caller = lambda header, _now: SHOP if header == f"Bearer {TOKEN}" else None
    return introduce(world)


def shortcut_of(world: World) -> ConsentShortcut:
    """The shortcut, below whatever was put before it."""
    below: Any = world.app.wsgi_app
    while not isinstance(below, ConsentShortcut):
        below = below._inner
    return below


def body(person: Person, **changes: Any) -> dict[str, Any]:
    whole = {
        "subject": person.pseudonym,
        "purpose": "newsletter",
        "notice_version": 2,
        "language": "es",
        "channel": "store",
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def post(world: World, told: object, token: str = TOKEN, **more: Any) -> TestResponse:
    return world.client.post(
        "/v1/consents",
        data=told if isinstance(told, bytes) else json.dumps(told),
        headers={"Authorization": f"Bearer {token}", **more.pop("headers", {})},
        content_type=more.pop("content_type", "application/json"),
        **more,
    )


def ordinary(world: World, told: object, **more: Any) -> TestResponse:
    """The same request, answered by Flask."""
    return post(world, told, token="not-an-opaque-one", **more)


def seen(answer: TestResponse) -> tuple[int, Mapping[str, str], object]:
    """What a client sees, but for what is random."""
    headers = {name: value for name, value in answer.headers if name != "Vary"}
    told = answer.get_json()
    if "event_id" in told:
        headers["Location"] = headers["Location"].replace(told["event_id"], "ID")
        told |= {name: len(told[name]) for name in ("event_id", "entry_id", "receipt")}
    return answer.status_code, headers, list(told.items())


def kept(world: World) -> list[dict[str, object]]:
    """What was kept of each word, with its entry of the log, but for what is random or its instant."""
    placet, words = world.placet, []
    with placet.runtime.snapshot() as session:
        for row in session.scalars(sa.select(EventRow).order_by(EventRow.ordinal)):
            columns = {name: getattr(row, name) for name in EVENT_COLUMNS}
            payload = session.get_one(Payload, row.entry_id)
            told = placet.log.disclose(session, payload).payload
            evidence = told["evidence"]
            assert isinstance(evidence, dict)
            assert evidence.pop("event_id") == columns["event_id"]
            for random in ("ordinal", "event_id", "entry_id", "at", "recorded_at"):
                evidence.pop(random, None)
                columns.pop(random)
            words.append(columns | {"payload": told | {"at": None}})
    return words


@SQLITE
def test_both_ways_answer_every_request_alike(world: World, ana: Person) -> None:
    usual: list[object] = [
        body(ana),
        body(ana, action="refused", explicit=False, channel="web"),
        body(
            ana,
            action="given",
            explicit=True,
            language="en",
            purpose="recommendations",
            notice_version=1,
        ),
        json.dumps(body(ana)).encode() + b" \n",
    ]
    unusual: list[object] = [
        body(ana, subject={"email": "Bea@Example.com"}),
        body(ana, subject={"phone": "600 111 222"}),
        body(ana, subject="d1v1_0123456789abcdefghijklmnopqrstuv"),
        body(ana, subject=""),
        body(ana, subject={"email": "nobody"}),
        body(ana, subject={"email": "a@b.es", "phone": "600111222"}),
        body(ana, subject=None),
        body(ana, notice_version=1),
        body(ana, notice_version=True),
        body(ana, notice_version=2.0),
        body(ana, notice_version="2"),
        body(ana, notice_version=...),
        body(ana, language="tlh"),
        body(ana, language="e" * 17),
        body(ana, purpose="nothing"),
        body(ana, purpose="offers-of-others"),
        body(ana, purpose="news\0letter"),
        body(ana, action="renewed"),
        body(ana, channel="import"),
        body(ana, channel=...),
        body(ana, explicit="true"),
        body(ana, more=1),
        [],
        b"{",
        b'"' + b"\xff",
        b"[" * 4000,
        json.dumps(body(ana)).encode() + b" " * 5000,
    ]
    shortcut = shortcut_of(world)
    submitted: list[object] = []
    submit = shortcut._gathering.submit

    def count(actor: Actor, item: Any) -> Any:
        submitted.append(item)
        return submit(actor, item)

    shortcut._gathering.submit = count  # type: ignore[method-assign]  # only counts
    for told in usual:
        quick = post(world, told)
        assert quick.status_code == 201, told
        assert seen(quick) == seen(ordinary(world, told)), told
    assert len(submitted) == len(usual)
    rows = kept(world)
    assert rows[0::2] == rows[1::2]  # by either way, one after the other
    for told in unusual:
        assert seen(post(world, told)) == seen(ordinary(world, told)), told
    differently: list[dict[str, Any]] = [
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=utf-8"},
        {"query_string": "a=1"},
        {"headers": {"Idempotency-Key": '"a"'}},
        {"headers": {"Idempotency-Key": "a"}},
    ]
    before = len(submitted)
    for more in differently:
        assert (
            seen(post(world, body(ana), **more))[0]
            == ordinary(world, body(ana), **more).status_code
        )
    assert post(world, body(ana, action="withdrawn")).status_code == 201
    assert len(submitted) == before
    world.settle()
    assert world.verify().ok


@SQLITE
def test_what_needs_a_closer_look_takes_the_ordinary_way(world: World, ana: Person) -> None:
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.consents.object_to(uow, ana.subject_id, "newsletter")
        uow.commit()
    assert post(world, body(ana)).status_code == 201
    with placet.runtime.snapshot() as session:
        state = placet.consents.current(session, ana.subject_id)["newsletter"]
    assert state.objected_since is None  # lifted by the express word, as the ordinary way does
    shortcut_of(world)._caller = lambda _header, _now: application(scopes=frozenset())
    calls_as(world, application(scopes=frozenset()))
    assert post(world, body(ana)).status_code == 403
    shortcut_of(world)._caller = lambda _header, _now: None
    assert post(world, body(ana)).status_code == 403


def together(world: World, calls: list[Callable[[], TestResponse]]) -> list[TestResponse]:
    """Send requests that wait for one turn together."""
    gathering = shortcut_of(world)._gathering
    with ThreadPoolExecutor(len(calls)) as pool:
        gathering._is_led = True  # nobody can begin
        running = [pool.submit(call) for call in calls]
        try:
            wait_until(lambda: len(gathering._queue) == len(calls), "all wait", seconds=10)
        finally:
            gathering._hand_over()
        return [each.result() for each in running]


def test_requests_that_wait_are_recorded_in_one_turn_and_each_for_itself(
    world: World, ana: Person
) -> None:
    bea, carla = introduce(world, "bea@example.com"), introduce(world, "carla@example.com")
    give(world, bea)
    turns: list[int] = []
    shortcut = shortcut_of(world)
    work = shortcut._gathering._work

    def counted(uow: UnitOfWork, items: Any) -> Any:
        turns.append(len(items))
        return work(uow, items)

    shortcut._gathering._work = counted
    stranger = "d1v1_0123456789abcdefghijklmnopqrstuv"
    told = [
        body(ana),
        body(ana, purpose="recommendations", notice_version=1),
        body(bea, action="refused"),
        body(carla),
        body(carla, purpose="recommendations", notice_version=1),
        body(ana, subject=stranger),
    ]
    answers = together(world, [partial(post, world, each) for each in told])
    assert [answer.status_code for answer in answers] == [201] * 5 + [404]
    assert turns == [6]
    with world.placet.runtime.snapshot() as session:
        rows = list(session.scalars(sa.select(EventRow).order_by(EventRow.ordinal)))
        states = world.placet.consents.current(session, bea.subject_id)
    assert len(rows) == 6
    assert [row.ordinal for row in rows] == sorted(row.ordinal for row in rows)
    assert {a.get_json()["event_id"] for a in answers[:5]} == {row.event_id for row in rows[1:]}
    consent = states["newsletter"].consent
    assert consent
    assert consent.action.value == "refused"
    assert ask(world, ana).get_json()["decision"] is True
    assert ask(world, bea).get_json()["decision"] is False
    world.settle()
    assert world.verify().ok


def test_of_two_words_on_one_purpose_in_one_turn_both_are_kept_and_the_later_one_stands(
    world: World, ana: Person
) -> None:
    told = [body(ana), body(ana, action="refused"), body(ana)]
    answers = together(world, [partial(post, world, each) for each in told])
    assert [answer.status_code for answer in answers] == [201] * 3
    with world.placet.runtime.snapshot() as session:
        rows = list(session.scalars(sa.select(EventRow).order_by(EventRow.ordinal)))
        states = world.placet.consents.current(session, ana.subject_id)
    assert {row.event_id for row in rows} == {a.get_json()["event_id"] for a in answers}
    last = standing(to_word(to_event(row)) for row in rows)
    assert last
    assert states["newsletter"].event_id == last.event_id
    world.settle()
    assert world.verify().ok


@SQLITE
def test_a_turn_that_fails_is_tried_one_by_one(world: World, ana: Person) -> None:
    shortcut = shortcut_of(world)

    def broken(_uow: UnitOfWork, _items: Any) -> Any:
        raise OSError("the disk is full")

    shortcut._gathering._work = broken
    told = [body(ana), body(ana, action="refused")]
    answers = together(world, [partial(post, world, each) for each in told])
    assert [answer.status_code for answer in answers] == [201, 201]
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EventRow)) == 2


def record(world: World, told: Sequence[tuple[Person, ConsentAction]]) -> Sequence[Recorded | None]:
    """Have the shortcut record words about the newsletter in one turn, in their order."""
    words, usual = world.placet.usual_words, []
    for person, action in told:
        word = Word(
            purpose="newsletter",
            action=action,
            channel=ConsentChannel.WEB,
            pseudonym=person.pseudonym,
            notice_version=2,
            language="es",
        )
        each = words.read(SHOP, word)
        assert each
        usual.append(each)
    with world.placet.runtime.plain_unit_of_work(SHOP) as uow:
        recorded = words.record(uow, usual)
        uow.commit()
    return recorded


@SQLITE
def test_of_two_words_of_a_merged_person_under_two_pseudonyms_one_turn_keeps_the_first(
    world: World, ana: Person
) -> None:
    account = introduce(world, "ana.new@example.com")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, account.subject_id, ana.subject_id)
        uow.commit()
    refused, given = record(world, [(ana, ConsentAction.REFUSED), (account, ConsentAction.GIVEN)])
    assert refused
    assert refused.event.action is ConsentAction.REFUSED
    assert given is None  # rests on the other: by the ordinary way
    assert ask(world, account).get_json()["decision"] is False
    world.settle()
    assert world.verify().findings == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_no_usual_word_that_waited_for_a_merge_undoes_a_withdrawal_of_the_survivor(
    world: World, ana: Person
) -> None:
    placet = world.placet
    account = introduce(world, "ana.new@example.com")
    give(world, account)
    world.clock.advance(seconds=1)

    class Interrupted(UsualStore):
        """The person withdraws, and is answered, before anything is written."""

        def hold(
            self, door: Door, domain: str, revision: str, pairs: Sequence[tuple[str, str]]
        ) -> dict[tuple[str, str], Any]:
            found = super().hold(door, domain, revision, pairs)
            pool.submit(withdraw, world, account).result(10)  # whoever holds them makes it fail
            return found

    placet.usual_words._rows = Interrupted(placet.runtime.database.engine)
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def is_waiting() -> bool:
        with placet.runtime.snapshot() as session:
            return bool(session.scalar(waiting))

    with ThreadPoolExecutor(2) as pool:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            placet.subjects.merge(uow, account.subject_id, ana.subject_id)
            recording = pool.submit(record, world, [(ana, ConsentAction.GIVEN)])
            wait_until(is_waiting, "the word waits for the merge", seconds=10)
            uow.commit()
        recorded = recording.result(30)
    assert ask(world, account).get_json()["decision"] is False
    assert ask(world, ana).get_json()["decision"] is False
    assert recorded == [None]  # by the ordinary way
    world.settle()
    assert world.verify().findings == []
