"""The DPO's table of consent events."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from policies.vocabulary import ConsentChannel, RetentionClass
from privacy.actor import SYSTEM
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.arrivals import Arrivals
from tests.privacy.reports.test_export import PATH, document, exported, history
from tests.support.cast import Person, give, introduce, refuse, signed_in_as
from tests.support.forms import submit
from tests.support.sample import PAGES
from tests.support.world import World

pytestmark = PAGES


def rows(page: str) -> list[str]:
    """Event ids in the order of the table."""
    return re.findall(r'data-row href="/dpo/consents/([0-9a-f]{32})"', page)


def link(page: str, rel: str) -> str | None:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    return unescape(found.group(1)) if found else None


def test_an_empty_table_says_what_will_stand_there(delia: FlaskClient) -> None:
    page = delia.get(PATH).text
    assert "Aún no hay consentimientos" in page
    assert "Exportar" not in page


def test_the_table_shows_newest_first_with_totals(world: World, delia: FlaskClient) -> None:
    history(world)
    page = delia.get(PATH).text
    assert len(rows(page)) == 4
    assert page.index("Retirado</span>") < page.index("Rechazado</span>")
    assert "Pendiente" in page
    world.settle()
    assert "Pendiente" not in delia.get(PATH).text
    assert re.search(r"<dt>Eventos</dt>\s*<dd>4</dd>", page)
    assert re.search(r"<dt>Aceptado</dt>\s*<dd>2</dd>", page)


def test_people_who_came_at_once_have_names_of_their_own(world: World, delia: FlaskClient) -> None:
    placet, identifiers = world.placet, world.placet.subjects.identifiers
    arrivals = Arrivals(placet.sealer, identifiers, placet.log)
    addresses = [
        identifiers.read(IdentifierKind.EMAIL, f"{name}@example.com") for name in ("ana", "luis")
    ]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        people = arrivals.by_many(uow, addresses).people.values()
        uow.commit()
    for each in people:
        refuse(world, Person(each, ""))
    shown = re.findall(r'class="mono nowrap"[^>]*>([0-9a-f]{8})</a>', delia.get(PATH).text)
    assert len(shown) == len(set(shown)) == 2
    assert set(shown) == {each[-8:] for each in people}


def test_filters_combine_and_an_empty_result_says_so(world: World, delia: FlaskClient) -> None:
    ana, luis = history(world)

    def count(query: str) -> int:
        return len(rows(delia.get(f"{PATH}?{query}").text))

    assert count("purpose=recommendations") == 2
    assert count("purpose=recommendations&action=given") == 1
    assert count(f"purpose=recommendations&person={ana.subject_id}") == 1
    assert count(f"purpose=newsletter&person={luis.subject_id}") == 0
    assert count("channel=web") == 4
    assert count("channel=store") == 0
    assert count("from=2026-03-04") == 3
    assert count("from=2026-03-04&to=2026-03-04") == 1
    assert count("to=2026-03-03") == 1
    assert count("purpose=&action=&channel=&from=&to=") == 4
    assert "Ningún evento pasa estos filtros" in delia.get(f"{PATH}?channel=store").text


def test_days_are_days_of_the_controllers_zone(world: World, delia: FlaskClient) -> None:
    ana = introduce(world)
    world.clock.advance(hours=12, minutes=30)  # 23:30 UTC on the 3rd is 0:30 on the 4th in Madrid
    give(world, ana)
    assert len(rows(delia.get(f"{PATH}?to=2026-03-03").text)) == 0
    assert len(rows(delia.get(f"{PATH}?from=2026-03-04&to=2026-03-04").text)) == 1


def test_pages_follow_each_other_without_gap_or_repetition_and_back(
    world: World, delia: FlaskClient
) -> None:
    ana = introduce(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        events = [
            world.placet.consents.record_refused(
                uow,
                ana.subject_id,
                "newsletter",
                notice_version=2,
                language="es",
                channel=ConsentChannel.PHONE,
            )
            for _ in range(120)
        ]
        uow.commit()
    give(world, ana, "recommendations", version=1)
    expected = [event.event_id for event in reversed(events)]
    seen, sizes, address = [], [], f"{PATH}?purpose=newsletter"
    while True:
        page = delia.get(address).text
        seen += rows(page)
        sizes.append(len(rows(page)))
        following = link(page, "next")
        if following is None:
            break
        assert "purpose=newsletter" in following
        address = following
    assert sizes == [50, 50, 20]
    assert seen == expected
    give(world, ana)  # a new event does not move the pages behind it
    back = link(page, "prev")
    assert back is not None
    middle = delia.get(back).text
    assert rows(middle) == expected[50:100]
    first = link(middle, "prev")
    assert first is not None
    assert rows(delia.get(first).text) == expected[:50]
    assert link(delia.get(f"{PATH}?purpose=newsletter").text, "prev") is None


def test_the_export_is_exactly_what_is_shown(world: World, delia: FlaskClient) -> None:
    history(world)
    world.settle()
    for filters in ({}, {"purpose": "recommendations"}, {"from": "2026-03-04", "action": "given"}):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        page = delia.get(f"{PATH}?{query}").text
        shown = rows(page)
        told = document(exported(delia, **filters))
        assert [e["payload"]["evidence"]["event_id"] for e in told["entries"]] == shown
        form = page[page.index('action="/dpo/consents/export"') :]
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        hidden.pop("csrf_token")
        assert hidden == filters  # the page's own form sends the filters that it shows


def test_a_person_is_found_by_address_and_the_address_stays_out_of_the_url(
    world: World, delia: FlaskClient
) -> None:
    ana, _luis = history(world)
    answer = submit(delia, PATH, {"email": " ANA@example.com "}, to=f"{PATH}/person")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{PATH}?person={ana.subject_id}"
    assert len(rows(delia.get(answer.headers["Location"]).text)) == 3
    answer = submit(
        delia, PATH, {"email": "ana@example.com", "action": "given"}, to=f"{PATH}/person"
    )
    assert answer.headers["Location"] == f"{PATH}?action=given&person={ana.subject_id}"
    answer = submit(delia, PATH, {"email": "nobody@example.com"}, to=f"{PATH}/person")
    assert answer.headers["Location"] == PATH
    assert "No consta nadie" in delia.get(PATH).text
    answer = submit(delia, PATH, {"email": "<b>x"}, to=f"{PATH}/person")
    assert answer.status_code == 422
    assert "&lt;b&gt;x" in answer.text
    assert "<b>x" not in answer.text


@pytest.mark.parametrize("query", ["from=x", "person=x", "after=x", "action=x", "to=0001-01-01"])
def test_a_wrong_filter_is_said_at_its_field(delia: FlaskClient, query: str) -> None:
    answer = delia.get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert "Este filtro no es válido" in answer.text


def test_the_language_link_keeps_working(delia: FlaskClient) -> None:
    assert delia.get(f"{PATH}?lang=en").status_code == 200


def test_one_event_shows_its_words_person_and_proof(world: World, delia: FlaskClient) -> None:
    ana = introduce(world)
    event = give(world, ana)
    page = delia.get(f"{PATH}/{event.event_id}").text
    assert "recibirá su número" in page
    world.settle()
    page = delia.get(f"{PATH}/{event.event_id}").text
    notice = world.placet.register.notice_of("newsletter")
    assert notice is not None
    assert notice.texts["es"] in unescape(page)
    for expected in (
        "ana@example.com",
        event.entry_id,
        event.notice_digest,
        "c2sp.org/tlog-proof@v1",
    ):
        assert expected in unescape(page)


def test_the_words_of_an_erased_persons_event_are_gone(world: World, delia: FlaskClient) -> None:
    ana = introduce(world)
    event = give(world, ana)
    world.settle()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.log.erase(uow, ana.subject_id, [RetentionClass.CONSENT_EVIDENCE])
        world.placet.subjects.erase(uow, ana.subject_id)
        uow.commit()
    page = delia.get(f"{PATH}/{event.event_id}").text
    assert "fue borrado" in page
    assert "ana@example.com" not in page


@pytest.mark.parametrize("event_id", ["0" * 32, "x", "..", "A" * 32])
def test_an_event_that_is_not_there_is_not_found(delia: FlaskClient, event_id: str) -> None:
    assert delia.get(f"{PATH}/{event_id}").status_code == 404


def test_nobody_without_the_role_sees_or_takes_anything(world: World) -> None:
    ana = introduce(world)
    event = refuse(world, ana)
    addresses = (PATH, f"{PATH}/{event.event_id}")
    world.app.extensions["placet.session"] = lambda: None
    anonymous = world.client
    for address in addresses:
        answer = anonymous.get(address, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login?next=")
    signed_in_as(world, ana)
    carla = world.client
    for address in addresses:
        assert carla.get(address).status_code == 403
    for path in ("export", "person"):
        answer = submit(carla, "/privacy", {"form": "json"}, to=f"{PATH}/{path}")
        assert answer.status_code == 403


def test_an_export_needs_the_forms_token(world: World, delia: FlaskClient) -> None:
    history(world)
    world.settle()
    assert delia.post(f"{PATH}/export", data={"form": "json"}).status_code == 400
    assert delia.get(f"{PATH}/export").status_code in {404, 405}
