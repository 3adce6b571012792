"""Death and restriction at the desk: both reach the decision, and no lifting surprises anybody."""

from identity.accounts.model import AccountStatus
from policies.vocabulary import EventTag, Role
from privacy.actor import SYSTEM
from privacy.subjects.standing import mark_deceased
from tests.identity.administration.office import open_account
from tests.privacy.consent.conftest import ana as ana  # noqa: PLC0414 - the fixture
from tests.privacy.consent.test_guardians import at_the_desk
from tests.privacy.consent.test_suppression import reasons, tags
from tests.support.cast import ANA, Person, give
from tests.support.forms import submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = PAGES


def act(world: World, person: Person, name: str, reason: str = "Lo pide") -> int:
    address = f"/dpo/people/{person.subject_id}/{name}"
    return submit(world.client, address, {"reason": reason}).status_code


def test_a_restriction_denies_and_is_lifted_only_after_the_person_was_told(
    world: World, ana: Person, mail_server: MailServer
) -> None:
    give(world, ana)
    at_the_desk(world)
    found = submit(world.client, "/dpo/people", {"person": ANA.upper()})
    assert found.headers["Location"] == f"/dpo/people/{ana.subject_id}"
    assert submit(world.client, "/dpo/people", {"person": "no@example.com"}).status_code == 404
    assert tags(world).count(EventTag.SUBJECTS_SUBJECT_LOOKED_UP.value) == 2  # who, and nobody
    assert act(world, ana, "restrict", "") == 422
    assert act(world, ana, "restrict") == 303
    assert reasons(world, ana) == ["restricted"]
    assert act(world, ana, "lift") == 409
    assert act(world, ana, "announce", "Dato corregido") == 303
    world.settle()
    letter = mail_server.wait_for(to=ANA).get_body(("plain",))
    assert letter is not None
    assert "Dato corregido" in letter.get_content()
    world.clock.advance(days=3, seconds=-1)
    assert act(world, ana, "lift") == 409
    assert reasons(world, ana) == ["restricted"]
    world.clock.advance(seconds=1)
    assert act(world, ana, "lift") == 303
    assert reasons(world, ana) == ["consent-given"]


def test_a_death_denies_every_use_and_a_mistake_can_be_put_right(world: World, ana: Person) -> None:
    give(world, ana)
    at_the_desk(world)
    assert act(world, ana, "deceased") == 303
    word = {"subject": {"email": ANA}, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "store"}
    answer = world.client.post("/v1/consents", json=word)
    assert (answer.status_code, (answer.json or {}).get("type")) == (
        409,
        "/problems/deceased-person",
    )
    assert world.client.post("/v1/consents", json=word | {"action": "refused"}).status_code == 201
    assert "deceased" in reasons(world, ana)
    assert "deceased" in reasons(world, ana, "loyalty")
    assert act(world, ana, "alive") == 303
    assert reasons(world, ana) == ["consent-refused"]


def test_a_death_shuts_the_account_and_tells_its_addresses_and_leaves_staff_to_administrators(
    world: World, mail_server: MailServer
) -> None:
    accounts = world.placet.identity.accounts
    for email, role in (("eva@example.com", Role.PERSON), ("luz@example.com", Role.STAFF)):
        account = open_account(world, email, role)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            assert mark_deceased(uow, account.subject_id, reason="x")
            uow.commit()
            found = accounts.find(uow.session, account.account_id)
        assert found is not None
        assert (found.status is AccountStatus.DISABLED) == (role is Role.PERSON)
    world.settle()
    assert mail_server.wait_for(to="eva@example.com")
    assert mail_server.messages_to("luz@example.com") == []
