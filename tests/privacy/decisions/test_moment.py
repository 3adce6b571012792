"""The desk and the command line ask about a past moment; who looked stands in the log."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from policies.vocabulary import EventTag, Role, Scope
from privacy.actor import Actor, ActorKind
from privacy.audit import store as audit
from privacy.audit.leaf import parse_leaf
from privacy.decisions.commands import consent_commands
from privacy.decisions.past import PastDecisions
from tests.support.cast import Person, give, in_force_since, withdraw
from tests.support.forms import submit
from tests.support.world import NOON, World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def sits_at_the_desk(world: World, role: Role = Role.DPO) -> None:
    actor = Actor(
        kind=ActorKind.PERSON,
        account_id="de" * 16,
        role=role,
        scopes=frozenset({Scope.SIGNED_IN, Scope.DESK}),
        methods=("mfa", "swk", "user"),
    )
    world.app.extensions["placet.session"] = lambda: actor


def look_ups(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        leaves = session.query(audit.Entry.leaf).all()
    tag = EventTag.CONSENT_MOMENT_LOOKED_UP.value
    return sum(parse_leaf(leaf).type == tag for (leaf,) in leaves)


@pytest.fixture
def story(world: World, ana: Person) -> World:
    """Ana consents at noon on 3 March in Madrid, and withdraws a week later."""
    in_force_since(world, NOON - timedelta(days=1))
    give(world, ana)
    world.clock.advance(days=7)
    withdraw(world, ana)
    world.clock.advance(days=1)
    return world


def test_the_desk_sees_what_was_permitted_and_the_words_that_were_seen(
    story: World, ana: Person
) -> None:
    sits_at_the_desk(story)
    browser = story.client
    asked = {"person": "ana@example.com", "purpose": "newsletter", "time": "12:00"}
    page = submit(browser, "/dpo/moment", asked | {"day": "2026-03-04"})
    assert page.status_code == 200
    assert ">Permitido<" in page.text
    assert "Había un consentimiento en vigor." in page.text
    text = story.placet.register.notices["newsletter"].revisions[1].texts["es"]
    assert text.strip().splitlines()[-1][:40] in page.text
    later = submit(browser, "/dpo/moment", asked | {"day": "2026-03-11", "person": ana.pseudonym})
    assert ">No permitido<" in later.text
    assert "consent-withdrawn" in later.text
    minute_before = submit(browser, "/dpo/moment", asked | {"day": "2026-03-03", "time": "11:59"})
    # Local time: noon in Madrid is 11:00 UTC, when she first came.
    assert "unknown-person" in minute_before.text
    assert look_ups(story) == 3


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"person": "nobody"}, 422),
        ({"person": "carla@example.com"}, 404),
        ({"day": "2026-13-01"}, 422),
        ({"day": "2030-01-01"}, 422),
        ({"time": "noon"}, 422),
    ],
)
def test_what_cannot_be_looked_up_is_said_beside_its_field(
    world: World, ana: Person, wrong: dict[str, str], status: int
) -> None:
    sits_at_the_desk(world)
    asked = {"person": "ana@example.com", "purpose": "newsletter", "day": "2026-03-01"}
    page = submit(world.client, "/dpo/moment", asked | {"time": "12:00"} | wrong)
    assert page.status_code == status
    [name] = wrong
    assert f'href="#{name}"' in page.text
    assert look_ups(world) == (status == 404)  # that nobody was found is kept, and not whom


def test_the_command_says_the_same_as_json(story: World, ana: Person) -> None:
    placet = story.placet
    past = PastDecisions(placet.consents, placet.subjects, placet.pseudonyms)
    command = consent_commands(lambda: (placet.runtime, past, "Europe/Madrid"))

    def at(*arguments: str) -> str:
        result = CliRunner().invoke(command, ["at", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    told = json.loads(at(ana.pseudonym, "newsletter", "2026-03-03T12:00", "--json"))
    assert told["decision"] is True
    assert told["notice"]["version"] == 2
    assert [event["action"] for event in told["events"]] == ["given"]
    assert told["evidence_id"].startswith(told["events"][0]["event_id"])
    assert at("ana@example.com", "newsletter", "2026-03-11T00:00Z").startswith(
        "deny: consent-withdrawn"
    )
    refused = CliRunner().invoke(command, ["at", ana.pseudonym, "newsletter", "2031-01-01"])
    assert refused.exit_code == 2
