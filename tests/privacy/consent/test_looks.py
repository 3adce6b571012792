"""Whoever of the staff looks at a person's data leaves an entry, and so does looking for nobody."""

import pytest

from policies.vocabulary import EventTag
from privacy.audit import store as audit
from privacy.audit.leaf import parse_leaf
from privacy.clock import rfc3339
from privacy.events import Json
from tests.privacy.consent.test_ending_pages import ONE
from tests.privacy.consent.test_guardians import at_the_desk
from tests.support.cast import ANA, Person, give
from tests.support.forms import submit
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
TAG = EventTag.SUBJECTS_SUBJECT_LOOKED_UP.value


def looks(world: World) -> list[tuple[Json, Json]]:
    """(whom, which page) of every look, and that no address stands in any of them."""
    found: list[tuple[Json, Json]] = []
    with world.placet.runtime.snapshot() as session:
        for payload in session.query(audit.Payload):
            entry = session.get(audit.Entry, payload.entry_id)
            assert entry
            if parse_leaf(entry.leaf).type == TAG:
                told = world.placet.log.disclose(session, payload).payload
                assert "@" not in str(told)
                event, evidence = told["event"], told["evidence"]
                assert isinstance(event, dict)
                assert isinstance(evidence, dict)
                found.append((event.get("subject_id"), evidence["page"]))
    return found


def test_every_page_about_a_person_leaves_one_entry_a_look_whoever_led_there(
    world: World, ana: Person
) -> None:
    event = give(world, ana)
    at_the_desk(world)
    whom = ana.subject_id
    for number, (address, page) in enumerate(
        [
            (f"/dpo/people/{whom}", "person"),
            (f"/dpo/people/{whom}/restrict", "restrict"),
            (f"/dpo/people/{whom}/guardians/invite", "invite"),
            (f"/dpo/word/{whom}", "word"),
            (f"/dpo/consents?person={whom}", "consents"),
            (f"/dpo/consents/{event.event_id}", "consent"),
        ],
        1,
    ):
        assert world.client.get(address).status_code == 200
        assert len(looks(world)) == number
        assert (whom, page) in looks(world)
    browser, before = world.client, len(looks(world))
    assert submit(browser, "/dpo/people", {"person": ANA}).status_code == 303
    for seconds, more in ((0, 1), (59, 1), (1, 2), (30, 2)):
        world.clock.advance(seconds=seconds)
        assert browser.get(f"/dpo/people/{whom}").status_code == 200
        assert len(looks(world)) == before + more


def test_looking_for_nobody_leaves_an_entry_without_whom(world: World) -> None:
    at_the_desk(world)
    absent = "nobody@example.com"
    for number, (address, form, to) in enumerate(
        [
            ("/dpo/people", {"person": absent}, None),
            ("/dpo/endings", ONE | {"person": absent}, "/dpo/endings/person"),
            ("/dpo/consents", {"email": absent}, "/dpo/consents/person"),
            ("/dpo/people", {}, f"/dpo/attachments/{'0' * 32}"),
        ],
        1,
    ):
        submit(world.client, address, form, to=to)
        assert len(looks(world)) == number
    assert world.client.get(f"/dpo/people/{'0' * 32}").status_code == 404
    assert {whom for whom, _page in looks(world)} == {None}
    assert (None, "person") in looks(world)


def test_the_person_is_told_of_each_look_and_of_the_role_but_not_of_whom(
    world: World, ana: Person
) -> None:
    """GDPR Art. 15; CJEU C-579/21: when and why, and not who of the staff it was."""

    def told() -> list[dict[str, Json]]:
        with world.placet.runtime.snapshot() as session:
            held = world.placet.identity.account_data.collect(session, ana.subject_id)
        acts = held["acts_of_staff"]
        assert isinstance(acts, list)
        return [each for each in acts if isinstance(each, dict)]

    assert told() == []
    at_the_desk(world)
    assert world.client.get(f"/dpo/people/{ana.subject_id}").status_code == 200
    seen_at = rfc3339(world.clock.now)
    world.clock.advance(minutes=5)
    asked = {"person": ANA, "purpose": "newsletter", "day": "2026-03-03", "time": "12:00"}
    assert submit(world.client, "/dpo/moment", asked).status_code == 200
    assert told() == [
        {"at": seen_at, "event": TAG, "by": "dpo"},
        {
            "at": rfc3339(world.clock.now),
            "event": EventTag.CONSENT_MOMENT_LOOKED_UP.value,
            "by": "dpo",
        },
    ]
