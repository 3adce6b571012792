"""What somebody told staff: with evidence for a yes, in nobody else's name, and downloadable."""

import hashlib
from io import BytesIO

import pytest

from policies.vocabulary import RetentionClass, Role
from privacy.actor import SYSTEM
from privacy.keys.sealing import KeyDestroyed
from tests.privacy.consent.test_guardians import at_the_desk
from tests.privacy.consent.test_suppression import reasons
from tests.support.cast import ANA, Person, withdraw
from tests.support.forms import csrf_token
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = PAGES
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1200  # longer than any other body may be

WORD = {
    "purpose": "newsletter",
    "said": "given",
    "said_by": "staff",
    "channel": "store",
    "said_on": "2026-03-02",
    "notice_version": "2",
    "language": "es",
}


def write(world: World, person: Person, file: bytes | None = PDF, **word: str) -> tuple[int, str]:
    client = world.client
    address = f"/dpo/word/{person.subject_id}"
    data: dict[str, object] = {**WORD, **word, "csrf_token": csrf_token(client.get(address).text)}
    if file is not None:
        data["evidence"] = (BytesIO(file), "../a/form ana.pdf")
    answer = client.post(address, data=data)
    return answer.status_code, answer.text


def test_a_yes_on_paper_counts_from_its_day_with_its_file_sealed_and_handed_to_the_dpo_alone(
    world: World, ana: Person, mail_server: MailServer
) -> None:
    at_the_desk(world)
    assert write(world, ana)[0] == 303
    assert reasons(world, ana) == ["consent-given"]
    with world.placet.runtime.snapshot() as session:
        [event] = world.placet.consents.history(session, ana.subject_id)
        [kept] = world.placet.people.attachments.of_person(session, ana.subject_id)
    access = list(world.placet.people.attachments.files(ana.subject_id))
    assert event.said_by.value == "staff"
    assert event.at.isoformat() == "2026-03-01T23:00:00+00:00"  # midnight in Madrid
    assert event.attachment == kept.digest == hashlib.sha256(PDF).hexdigest()
    assert access == [("form ana.pdf", PDF)]
    client = world.client
    page = client.get(f"/dpo/people/{ana.subject_id}")
    fields = {"csrf_token": csrf_token(page.text)}
    download = client.post(f"/dpo/attachments/{kept.attachment_id}", data=fields)
    assert download.data == PDF
    assert download.headers["Content-Disposition"] == 'attachment; filename="form ana.pdf"'
    assert download.headers["X-Content-Type-Options"] == "nosniff"
    at_the_desk(world, Role.STAFF)
    again = client.post(f"/dpo/attachments/{kept.attachment_id}", data=fields)
    assert again.status_code == 403
    world.settle()
    assert mail_server.wait_for(to=ANA)["Subject"] == "Hemos anotado lo que nos dijiste"
    assert world.verify().findings == []
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # gone with the evidence's own term
        world.placet.sealer.destroy(uow.session, ana.subject_id, RetentionClass.CONSENT_EVIDENCE)
        with pytest.raises(KeyDestroyed):
            world.placet.people.attachments.take(uow, kept.attachment_id)


def test_a_yes_needs_evidence_a_no_does_not_and_an_old_yes_ends_no_later_no(
    world: World, ana: Person
) -> None:
    at_the_desk(world)
    assert write(world, ana, None)[0] == 422
    assert write(world, ana, b"MZ\x90\x00 program")[0] == 422
    assert write(world, ana, said_on="2026-03-04")[0] == 422
    assert write(world, ana, said="withdrawn", said_on="0001-01-01")[0] == 422
    assert write(world, ana, said_by="import")[0] == 422
    assert write(world, ana, said_by="guardian", who="x", authority="y")[0] == 422
    assert write(world, ana, said_by="representative")[0] == 422
    assert write(world, ana, said_on="2026-01-01")[0] == 422  # version 2 was not published then
    assert reasons(world, ana) == ["no-consent"]
    word = {"who": "Luis Gil", "authority": "poder notarial", "said_by": "representative"}
    assert write(world, ana, PDF, **word)[0] == 303
    withdraw(world, ana)
    world.clock.advance(minutes=1)
    assert write(world, ana)[0] == 303  # a letter from before that arrived late
    assert reasons(world, ana) == ["consent-withdrawn"]
    assert write(world, ana, None, said="objected", note="Llamó")[0] == 303
    assert "objected" in reasons(world, ana)


def test_an_application_cannot_claim_anothers_word(world: World, ana: Person) -> None:
    word = {"subject": ana.pseudonym, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "web", "said_by": "staff"}
    answer = world.client.post("/v1/consents", json=word)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "said_by"
    assert reasons(world, ana) == ["no-consent"]
