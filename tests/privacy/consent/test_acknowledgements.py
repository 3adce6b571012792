"""Terms accepted and privacy information read: evidence at the opening, again when they change."""

import shutil
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.register import publication
from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.actor import SYSTEM
from privacy.audit import store as audit
from privacy.consent.acknowledgement_store import AcknowledgementRow
from privacy.consent.acknowledgements import AccountNoticesShown, Acknowledgement
from privacy.settings import EXAMPLE_REGISTER
from tests.identity.people import account_of, register, sign_in
from tests.support.cast import Person, give, introduce, signed_in_as
from tests.support.forms import forms, hidden_fields
from tests.support.smtp import MailServer
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

TERMS, TOLD = ("terms", 1, "accepted"), ("account-privacy", 1, "informed")


def acknowledged(world: World, subject_id: str) -> list[Acknowledgement]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.acknowledgements.of_person(session, subject_id)


def accept_all(world: World, person: Person) -> None:
    """Have the person accept and read everything about the account that is in force."""
    acknowledgements = world.placet.acknowledgements
    for revision in acknowledgements.in_force().values():
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            acknowledgements.record(
                uow,
                person.subject_id,
                revision.notice,
                version=revision.version,
                language="es",
                channel=ConsentChannel.WEB,
            )


def essentials(found: list[Acknowledgement]) -> list[tuple[str, int, str]]:
    return [(each.notice, each.version, each.manner.value) for each in found]


def revised(world: World, folder: Path, *notices: str, material: bool = True) -> World:
    """The same deployment after new versions of some notices were published."""
    for notice in notices:
        newest = max(
            int(path.name.split(".")[0]) for path in (folder / "notices" / notice).iterdir()
        )
        for language in ("es", "en"):
            text = (folder / f"notices/{notice}/{newest}.{language}.md").read_text("utf-8")
            path = folder / f"notices/{notice}/{newest + 1}.{language}.md"
            path.write_text(f"{text}\nPárrafo nuevo.\n", "utf-8")
        if not material:
            (folder / f"notices/{notice}/{newest + 1}.toml").write_text("material = false\n")
    publication.publish(folder, date(2026, 3, 3))
    settings = world.placet.settings
    again = make_world(
        settings.database_url,
        settings.instance,
        seed=f"{notices}{material}",
        PLACET_REGISTER=str(folder),
        PLACET_MAIL_PORT=str(settings.mail.port),
    )
    again.clock.now = world.clock.now
    return again


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example register, to be revised."""
    return Path(shutil.copytree(EXAMPLE_REGISTER, tmp_path / "register"))


def test_opening_an_account_accepts_the_terms_and_tells_the_rest_with_the_exact_words(
    world: World, mail_server: MailServer
) -> None:
    page = world.client.get("/register").text
    assert 'href="/notices/terms/1"' in page
    assert 'href="/notices/account-privacy/1"' in page
    client = register(world, mail_server)
    found = acknowledged(world, account_of(world).subject_id)
    assert essentials(found) == [TERMS, TOLD] or essentials(found) == [TOLD, TERMS]
    world.settle()
    assert world.verify().ok
    with world.placet.runtime.snapshot() as session:
        payload = audit.by_entry(session, audit.Payload, [found[0].entry_id])[found[0].entry_id]
        evidence = world.placet.log.disclose(session, payload).payload["evidence"]
    assert isinstance(evidence, dict)
    revision = world.placet.register.revision_of(found[0].notice, 1)
    assert revision is not None
    assert (evidence["text"], evidence["digest"]) == (revision.texts["es"], revision.digest)
    history = client.get("/privacy/history").text
    assert "Aceptaste: Condiciones de la cuenta" in history
    assert "Leíste: Tus datos en la cuenta" in history
    assert sign_in(world.client).headers["Location"] == "/privacy"


@pytest.mark.parametrize("shown", [None, AccountNoticesShown("es", 7, None)])
def test_what_no_form_showed_is_not_recorded_and_is_asked_at_the_first_sign_in(
    world: World, shown: AccountNoticesShown | None
) -> None:
    ana = introduce(world)
    if shown:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.acknowledgements.record_at_opening(uow, ana.subject_id, shown)
    assert acknowledged(world, ana.subject_id) == []
    with world.placet.runtime.snapshot() as session:
        stop = world.placet.acknowledgements.first_stop(session, ana.subject_id, world.clock())
    assert stop == "/account/notices"


def test_new_terms_are_shown_at_the_next_sign_in_and_then_the_person_goes_on(
    world: World, mail_server: MailServer, folder: Path
) -> None:
    register(world, mail_server)
    world = revised(world, folder, "terms")
    client = world.client
    answer = sign_in(client, path="/login?next=/rights")
    assert answer.headers["Location"] == "/account/notices?next=%2Frights"
    page = client.get(answer.headers["Location"]).text
    assert "Párrafo nuevo" in page
    assert 'href="/notices/terms/1"' in page
    assert "Tus datos en la cuenta" not in page  # that one has not changed
    [form] = [form for form in forms(page) if 'action="/account/notices"' in form]
    answer = client.post("/account/notices", data=hidden_fields(form))
    answer = client.get(answer.headers["Location"])
    assert answer.headers["Location"] == "/rights"
    assert essentials(acknowledged(world, account_of(world).subject_id))[-1] == (
        "terms",
        2,
        "accepted",
    )
    assert sign_in(world.client).headers["Location"] == "/privacy"


def test_an_immaterial_version_asks_nobody(
    world: World, mail_server: MailServer, folder: Path
) -> None:
    register(world, mail_server)
    world = revised(world, folder, "terms", "account-privacy", material=False)
    assert sign_in(world.client).headers["Location"] == "/privacy"


def test_a_stale_version_is_not_accepted(world: World, folder: Path) -> None:
    ana = introduce(world)
    world = revised(world, folder, "terms")
    signed_in_as(world, ana)
    client = world.client
    page = client.get("/account/notices").text
    [form] = [form for form in forms(page) if 'value="terms"' in form]
    stale = hidden_fields(form) | {"version": "1"}
    assert client.post("/account/notices", data=stale).status_code == 303
    assert acknowledged(world, ana.subject_id) == []
    assert "ha cambiado mientras lo leías" in client.get("/account/notices").text
    unknown = hidden_fields(form) | {"notice": "newsletter"}
    assert client.post("/account/notices", data=unknown).status_code == 404


def test_a_changed_consent_notice_is_asked_about_once_and_putting_it_off_records_no_answer(
    world: World, folder: Path
) -> None:
    ana = introduce(world)
    give(world, ana)
    accept_all(world, ana)
    world = revised(world, folder, "newsletter")
    signed_in_as(world, ana)
    client = world.client
    page = client.get("/account/notices").text
    assert 'id="newsletter"' in page
    [form] = [form for form in forms(page) if 'action="/account/notices/later"' in form]
    answer = client.post("/account/notices/later", data=hidden_fields(form))
    assert client.get(answer.headers["Location"]).headers["Location"] == "/privacy"
    with world.placet.runtime.snapshot() as session:
        history = world.placet.consents.history(session, ana.subject_id)
    assert [event.action for event in history] == [ConsentAction.GIVEN]
    again = revised(world, folder, "newsletter")  # the next material version asks once more
    signed_in_as(again, ana)
    assert 'id="newsletter"' in again.client.get("/account/notices").text


def test_notices_are_public_in_their_exact_words_and_drafts_are_not(
    world: World, folder: Path
) -> None:
    client = world.client
    page = client.get("/notices/newsletter").text
    assert "<h1>La carta del mes</h1>" in page
    assert 'href="/notices/newsletter/1"' in page
    assert world.placet.register.notices["newsletter"].revisions[1].digest in page
    assert "Ya no está en vigor" in client.get("/notices/newsletter/1").text
    assert "<h1>The monthly letter</h1>" in client.get("/notices/newsletter?lang=en").text
    for path in ("newsletter/3", "nothing", "newsletter/0", "newsletter/99999999999"):
        assert client.get(f"/notices/{path}").status_code == 404


def test_an_altered_or_removed_acknowledgement_is_found(world: World) -> None:
    ana = introduce(world)
    accept_all(world, ana)
    world.settle()
    assert world.verify().ok
    with behind_our_back(world.placet.settings.database_url) as connection:
        connection.execute(sa.update(AcknowledgementRow).values(channel="phone"))
    assert not world.verify().ok
    with behind_our_back(world.placet.settings.database_url) as connection:
        connection.execute(sa.delete(AcknowledgementRow))
    assert not world.verify().ok


def test_the_access_file_holds_them_and_an_erasure_leaves_the_proof(world: World) -> None:
    ana = introduce(world)
    accept_all(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.acknowledgements.put_off(uow, ana.subject_id, "newsletter")
    with world.placet.runtime.snapshot() as session:
        held = world.placet.consents.collect(session, ana.subject_id)
    assert len(held["acknowledgements"]) == 2  # type: ignore[arg-type]  # a list, as JSON
    assert held["put_off"] == [{"purpose": "newsletter", "notice_version": 2}]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        held = world.placet.consents.collect(session, ana.subject_id)
    assert len(held["acknowledgements"]) == 2  # type: ignore[arg-type]  # a list, as JSON
    assert held["put_off"] == []
    world.settle()
    assert world.verify().ok
