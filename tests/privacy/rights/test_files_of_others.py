"""An access file holds what is the person's, in words, and no document of somebody else's."""

import base64
import json
import re
from dataclasses import replace

import pytest

from policies.vocabulary import ConsentChannel, SaidBy
from privacy.actor import SYSTEM
from privacy.consent.attachment_model import Upload
from privacy.consent.guardian_model import Relation
from privacy.consent.representation import DeskWord, Said
from privacy.subjects import standing
from tests.privacy.consent.test_minors import born
from tests.privacy.rights.steps import browse_as, of_person, reference_in
from tests.support.cast import Person, introduce
from tests.support.forms import submit
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
PROOF = b"%PDF-1.7 the mother's identity card"
LETTER = "Mi abuela me dejó escribir esto.".encode()


def access_file(world: World, person: Person) -> tuple[dict[str, object], str]:
    """The data of a person's access file, and the page of the same."""
    browse_as(world, of_person(person))
    browser = world.client
    reference = reference_in(submit(browser, "/rights/access", {}))
    here = f"/rights/requests/{reference}"
    whole = json.loads(submit(browser, here, {"form": "json"}, to=f"{here}/data").data)
    page = submit(browser, here, {"form": "html"}, to=f"{here}/data").text
    return whole["data"], page


def test_a_guardian_s_proof_is_whole_in_the_guardian_s_file_and_only_named_in_the_child_s(
    world: World,
) -> None:
    child, mother = introduce(world), introduce(world, "mother@example.com", domain="elsewhere")
    born(world, child, "2013-06-01")
    people = world.placet.people
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        own = people.attachments.add(uow, child.subject_id, Upload("carta.txt", LETTER))
        made = people.guardians.accept_at_desk(
            uow,
            child.subject_id,
            Relation.PARENT,
            who="Marta",
            upload=Upload("dni-de-marta.pdf", PROOF),
            language="es",
            email="mother@example.com",
        )
        uow.commit()
    data, page = access_file(world, child)
    attached = data["attachments"]
    assert isinstance(attached, dict)
    [letter] = attached["files"]
    assert base64.b64decode(letter["content"]) == LETTER
    assert letter["sha256"] == own.digest
    [proof] = attached["files_of_others"]
    assert "artículo 15.4" in proof.pop("withheld")
    assert proof == {
        "said_by": "guardian",
        "media_type": "application/pdf",
        "sha256": made.attachment,
        "added_at": "2026-03-03T11:00:00.000Z",
    }
    assert "dni-de-marta" not in json.dumps(data) + page
    assert base64.b64encode(PROOF).decode() not in json.dumps(data)
    assert "Documentos que ha mostrado quien decide o habla por ti" in page
    assert "pídenos una copia con esos datos tapados" in page
    hers, _page = access_file(world, mother)
    assert isinstance(hers["attachments"], dict)
    [card] = hers["attachments"]["files"]
    assert (card["name"], base64.b64decode(card["content"])) == ("dni-de-marta.pdf", PROOF)
    assert [name for name, _content in people.attachments.files(child.subject_id)] == ["carta.txt"]


def test_what_a_representative_brought_is_told_with_the_reason_why_no_copy_goes(
    world: World,
) -> None:
    ana, people = introduce(world), world.placet.people
    word = DeskWord(
        subject_id=ana.subject_id,
        purpose="newsletter",
        said=Said.GIVEN,
        said_by=SaidBy.REPRESENTATIVE,
        channel=ConsentChannel.STORE,
        said_on=world.clock().date(),
        notice_version=2,
        language="es",
        who="Luis Gil",
        authority="poder notarial",
        upload=Upload("poder-de-luis.pdf", PROOF),
    )
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        people.desk_words.record(uow, word)
        by_phone = replace(word, said=Said.WITHDRAWN, upload=None, note="Llama su apoderado")
        people.desk_words.record(uow, by_phone)
        uow.commit()
    data, page = access_file(world, ana)
    attached = data["attachments"]
    assert isinstance(attached, dict)
    [theirs] = attached["files_of_others"]
    assert (theirs["said_by"], "artículo 15.4" in theirs["withheld"]) == ("representative", True)
    assert "Quien te representa" in page
    [note] = attached["files"]  # what staff wrote themselves
    assert base64.b64decode(note["content"]).decode() == "Llama su apoderado"
    assert "poder-de-luis" not in json.dumps(data) + page
    assert base64.b64encode(PROOF).decode() not in json.dumps(data)
    names = [name for name, _content in people.attachments.files(ana.subject_id)]
    assert names == ["note.txt"]


def test_the_access_file_tells_the_journal_in_words(world: World) -> None:
    ana = introduce(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, ana.subject_id, "newsletter")
        standing.restrict(uow, ana.subject_id, reason="Lo pide")
        uow.commit()
    data, page = access_file(world, ana)
    assert isinstance(data["facts"], dict)
    told = [(each["what"], each.get("purpose")) for each in data["facts"]["noted"]]
    assert ("Te opones", "newsletter") in told
    assert ("Tus datos solo se guardan: el tratamiento está limitado", None) in told
    assert "Has demostrado que una dirección es tuya" in page
    assert "Lo que hemos anotado de ti" in page
    unnamed = {"Access requests", "Identities", "Passkeys", "Devices", "Phones", "Risk assessments"}
    assert not unnamed & set(re.findall(r"<(?:dt|h2)[^>]*>([^<]+)<", page))
