"""What is made of a sign-in, from what is kept of the ones before; and what is kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.accounts.client import Client
from identity.risk.housekeeping import Housekeeping
from identity.risk.model import PastAssessment
from identity.risk.store import AssessmentRow
from policies.risk import POLICY_VERSION, Outcome, Signal
from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from tests.identity.risk.people import (
    ANA,
    FIREFOX,
    HOME,
    MADRID,
    PARIS,
    STRANGER,
    TOKYO,
    assess,
    open_account,
    remember,
)
from tests.identity.risk.test_places import city_database
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _past(world: World, account_id: str, **more: str) -> list[PastAssessment]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.identity.risk.explain(session, account_id, 100, **more)


def _housekeeping(world: World) -> int:
    return Housekeeping(world.placet.runtime, world.placet.identity.devices).run_due()


def test_the_registration_s_own_sign_in_has_nothing_new(world: World) -> None:
    ana = open_account(world)
    first = assess(world, ana)
    assert (first.signals, first.outcome) == ((), Outcome.ALLOW)
    later = assess(world, ana)  # another browser, or so it seems
    assert later.signals == (Signal.NEW_DEVICE,)


def test_an_old_account_without_history_is_not_a_first_sign_in(world: World) -> None:
    ana = open_account(world)
    world.clock.advance(hours=1)
    assert assess(world, ana).outcome is Outcome.CHALLENGE


def test_country_and_network_are_held_against_those_of_earlier_sign_ins(world: World) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    assert assess(world, ana, HOME, device).signals == ()
    abroad = assess(world, ana, Client(PARIS, FIREFOX), device)
    assert abroad.signals == (Signal.NEW_COUNTRY, Signal.NEW_NETWORK)
    assert (abroad.outcome, abroad.score) == (Outcome.ALLOW, 40)
    assert assess(world, ana, Client(PARIS, FIREFOX), device).signals == ()


def test_whoever_does_not_get_in_teaches_nothing(world: World) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    assess(world, ana, HOME, device)
    attacker = Client(PARIS, "")
    for _ in range(2):
        found = assess(world, ana, attacker, completed=False)
        assert found.signals == (Signal.NEW_DEVICE, Signal.NEW_COUNTRY, Signal.NEW_NETWORK)


def test_a_breach_and_ten_failures_ask_for_more_even_in_a_known_browser(world: World) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    assert assess(world, ana, HOME, device, breached=True).outcome is Outcome.CHALLENGE
    for _ in range(10):
        world.clock.advance(minutes=1, seconds=30)
        world.placet.attempts.begin_sign_in(ANA, STRANGER, None)
    assert assess(world, ana, HOME, device).signals == ()  # strangers' tries are not hers
    assert Signal.VELOCITY in assess(world, ana, STRANGER).signals


def test_five_other_accounts_tried_from_one_network_are_a_signal_there_alone(
    world: World,
) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    for number in range(5):
        world.placet.attempts.begin_sign_in(f"person{number}@example.com", HOME, None)
    assert assess(world, ana, HOME, device).signals == (Signal.MANY_ACCOUNTS,)
    elsewhere = assess(world, ana, Client("198.51.100.7", FIREFOX), device)
    assert Signal.MANY_ACCOUNTS not in elsewhere.signals


def test_an_hour_is_unusual_in_the_controller_s_time_zone(world: World) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    for _ in range(20):
        assess(world, ana, HOME, device)
        world.clock.advance(days=1)
    world.clock.now = world.clock.now.replace(hour=8, minute=59)  # 9:59 in Madrid
    assert assess(world, ana, HOME, device).signals == (Signal.UNUSUAL_HOUR,)
    world.clock.now = world.clock.now.replace(hour=9, minute=0)
    assert assess(world, ana, HOME, device).signals == ()


def test_nobody_is_in_tokyo_three_hours_after_madrid_where_cities_are_known(
    database_url: str, instance: Path, tmp_path: Path
) -> None:
    cities = str(city_database(tmp_path))
    world = make_world(database_url, instance, PLACET_CITY_DATABASE=cities)
    ana = open_account(world)
    _token, device = remember(world, ana)
    assess(world, ana, HOME, device)
    world.clock.advance(hours=3)
    tokyo = Client(TOKYO, FIREFOX)
    assert Signal.IMPOSSIBLE_TRAVEL in assess(world, ana, tokyo, device, completed=False).signals
    world.clock.advance(hours=10)
    assert Signal.IMPOSSIBLE_TRAVEL not in assess(world, ana, tokyo, device).signals
    assert _past(world, ana.account_id)[0].city == "Tokyo"
    blind = make_world(database_url, instance, seed="blind")
    blind.clock.now = world.clock.now
    assert not blind.placet.identity.risk.sees_travel
    assert Signal.IMPOSSIBLE_TRAVEL not in assess(blind, ana, HOME, device).signals


def test_each_assessment_is_told_with_all_that_led_to_it_page_by_page(world: World) -> None:
    ana = open_account(world)
    assess(world, ana)
    assess(world, ana, Client(PARIS, ""), completed=False)
    newest, oldest = _past(world, ana.account_id)  # both at the same instant, in either order
    if newest.completed:
        newest, oldest = oldest, newest
    assert oldest == replace(
        oldest,
        outcome=Outcome.ALLOW,
        score=0,
        signals=(),
        policy_version=POLICY_VERSION,
        methods=("pwd",),
        device="Firefox, Linux",
        network="88.1.2.0/24",
        country="ES",
        address=MADRID,
        completed=True,
    )
    assert newest.outcome is Outcome.CHALLENGE
    assert (newest.score, newest.completed) == (90, False)
    first, second = _past(world, ana.account_id)
    assert _past(world, ana.account_id, before=first.assessment_id) == [second]
    assert _past(world, ana.account_id, before=second.assessment_id) == []
    bruno = open_account(world, "bruno@example.com")
    assert _past(world, bruno.account_id, before=first.assessment_id) == []


def test_the_full_address_is_gone_at_the_instant_that_the_register_states(world: World) -> None:
    ana = open_account(world)
    assess(world, ana)
    assert world.placet.register.security.address_days == 30
    world.clock.advance(days=30, microseconds=-1)
    _housekeeping(world)
    assert _past(world, ana.account_id)[0].address == MADRID
    world.clock.advance(microseconds=1)
    _housekeeping(world)
    kept = _past(world, ana.account_id)[0]
    assert (kept.address, kept.network) == (None, "88.1.2.0/24")
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(AssessmentRow.address_sealed)).all() == [None]
    world.clock.advance(days=335)
    _housekeeping(world)
    assert _past(world, ana.account_id) == []


def test_nothing_about_a_sign_in_rests_in_plain_and_it_ends_with_the_person_s_key(
    world: World,
) -> None:
    ana = open_account(world)
    assess(world, ana)
    with world.placet.runtime.snapshot() as session:
        rows = session.execute(sa.select(AssessmentRow.__table__)).all()
    for secret in (b"88.1.2", b"Firefox", b"new-device", b'"ES"'):
        assert secret not in repr(rows).encode()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.sealer.destroy(uow.session, ana.subject_id, RetentionClass.SECURITY_TRAIL)
        uow.session.commit()
    assert _past(world, ana.account_id) == []


def test_the_person_gets_devices_and_assessments_and_erasure_takes_the_devices(
    world: World,
) -> None:
    ana = open_account(world)
    remember(world, ana)
    assess(world, ana)
    source = world.placet.identity.account_data
    with world.placet.runtime.snapshot() as session:
        held = json.loads(json.dumps(dict(source.collect(session, ana.subject_id))))
    assert [each["name"] for each in held["devices"]] == ["Firefox, Linux"]
    assert held["risk_assessments"][0]["signals"] == ["new-device"]
    assert held["risk_assessments"][0]["address"] == MADRID
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        source.erase(uow, ana.subject_id)
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        assert world.placet.identity.devices.of_account(session, ana.account_id) == []
