"""A purpose by channel or partner, the history, the uses, the download: what the person sees."""

import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import SYSTEM
from privacy.consent.model import Voice
from tests.privacy.consent.test_pages import card, press
from tests.support.cast import (
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    refuse,
    withdraw,
)
from tests.support.forms import csrf_token, forms, hidden_fields
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def form_of(page: str, name: str) -> str:
    """The form about one channel, or about all of them."""
    [form] = [each for each in forms(page) if f'name="purpose" value="{name}"' in each]
    return form


def answers(page: str, name: str) -> list[str]:
    return re.findall(r'name="action" value="([^"]+)"', form_of(page, name))


def answer(client: FlaskClient, name: str, action: str) -> int:
    page = client.get("/privacy").text
    form = form_of(page, name)
    assert action in answers(page, name)
    target = re.search(r'action="([^"]+)"', form)
    assert target
    fields = hidden_fields(form) | {"action": action, "csrf_token": csrf_token(page)}
    return client.post(target.group(1).replace("&amp;", "&"), data=fields).status_code


def said(world: World, person: Person) -> list[tuple[str, ConsentAction]]:
    with world.placet.runtime.snapshot() as session:
        events = world.placet.consents.history(session, person.subject_id)
    return [(event.purpose, event.action) for event in events]


def test_an_answer_for_all_is_an_event_for_each_and_both_answers_weigh_the_same(
    world: World, ana: Person
) -> None:
    client = world.client
    page = client.get("/privacy").text
    told = {
        "offers": (
            "Como mucho, cuatro veces al año",
            "Por correo postal",
            "Por teléfono",
            "España",
        ),
        "partner-offers": ("Como mucho, una vez al mes", "España)"),
    }
    for group, some in told.items():
        for words in some:
            assert words in card(page, group), words
    for name in ("offers", "offers.email", "partner-offers", "partner-offers.winery"):
        accept, refuse_ = re.findall(r"<button.*?</button>", form_of(page, name), re.DOTALL)
        same = accept.replace("grant", "refuse").replace("Aceptar", "Rechazar")
        assert same == refuse_
    assert answer(client, "partner-offers", "grant") == 303
    page = client.get("/privacy").text
    assert "Has aceptado: Ofertas de casas amigas." in page
    assert "Aceptado: 2 de 2" in card(page, "partner-offers")
    assert answers(page, "partner-offers") == ["withdraw"]
    assert answer(client, "partner-offers.winery", "withdraw") == 303
    page = client.get("/privacy").text
    assert "Aceptado: 1 de 2" in card(page, "partner-offers")
    assert answers(page, "partner-offers") == ["grant", "refuse"]
    assert (
        answer(client, "partner-offers", "refuse") == 303
    )  # one step: what was given is taken back
    assert said(world, ana) == [
        ("partner-offers.winery", ConsentAction.GIVEN),
        ("partner-offers.cookware", ConsentAction.GIVEN),
        ("partner-offers.winery", ConsentAction.WITHDRAWN),
        ("partner-offers.cookware", ConsentAction.WITHDRAWN),
    ]
    assert answers(client.get("/privacy").text, "partner-offers") == ["grant"]
    before = said(world, ana)
    token = csrf_token(client.get("/privacy").text)
    stale = {
        "purpose": "partner-offers",
        "action": "grant",
        "notice_version": "9",
        "csrf_token": token,
    }
    assert client.post("/privacy/consents/all?language=es", data=stale).status_code == 409
    unknown = {"purpose": "newsletter", "action": "grant", "csrf_token": token}
    assert client.post("/privacy/consents/all?language=es", data=unknown).status_code == 422
    assert said(world, ana) == before
    world.settle()
    assert world.verify().ok


def test_the_receipt_of_one_channel_says_which(world: World, ana: Person) -> None:
    answer(world.client, "offers.phone", "grant")
    with world.placet.runtime.snapshot() as session:
        [event] = world.placet.consents.history(session, ana.subject_id)
    page = world.client.get(f"/privacy/receipts/{event.event_id}").text
    assert "Ofertas de la tienda, por teléfono" in page
    claims: dict[str, Any] = world.client.get(f"/privacy/receipts/{event.event_id}.json").get_json()
    [processing] = claims["processing"]
    assert (processing["part_of"], processing["channel"]) == ("offers", "phone")
    assert processing["frequency"] == "Como mucho, cuatro veces al año por cada vía"


def test_the_history_turns_its_pages_and_narrows(world: World, ana: Person) -> None:
    for number in range(14):
        world.clock.advance(minutes=1)
        give(world, ana, "recommendations", version=1)
        if number % 2:
            withdraw(world, ana, "recommendations")
        else:
            refuse(world, ana, "recommendations", version=1)
    world.clock.advance(minutes=1)
    give(world, ana)
    press(world.client, "newsletter", "withdraw")
    first = world.client.get("/privacy/history").text
    second = world.client.get("/privacy/history?page=2").text
    assert first.count("Ver el recibo") == 25
    assert second.count("Ver el recibo") == 5
    assert "Página 2 de 2" in second
    narrowed = world.client.get("/privacy/history?purpose=newsletter&kind=consent").text
    assert narrowed.count("Ver el recibo") == 2
    assert "Nada con esos filtros" in world.client.get("/privacy/history?kind=objection").text
    for page in ("-1", "99999999999999", "x"):
        assert world.client.get(f"/privacy/history?page={page}").status_code == 200


def test_a_word_that_was_not_the_persons_own_click_says_whose_it_was(
    world: World, ana: Person
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        event = world.placet.consents.record_given(
            uow,
            ana.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.PHONE,
            voice=Voice(said_by=SaidBy.STAFF),
        )
        uow.commit()
    told = "Lo anotó una persona de la empresa porque se lo dijiste tú"
    assert told in world.client.get(f"/privacy/receipts/{event.event_id}").text
    assert told in world.client.get("/privacy/history").text
    assert "Tú, y lo anotó una persona de la empresa" in card(
        world.client.get("/privacy").text, "newsletter"
    )


def test_the_uses_say_what_was_told_and_narrow(world: World, ana: Person) -> None:
    ask(world, ana)
    give(world, ana)
    ask(world, ana)
    ask(world, ana, "loyalty")
    world.count_uses()
    page = world.client.get("/privacy/uses").text
    assert page.count("Que sí podía</span>") == 2
    assert page.count("Que no podía</span>") == 1
    narrowed = world.client.get("/privacy/uses?purpose=newsletter&answer=permit").text
    assert narrowed.count("Que sí podía</span>") == 1
    assert "Que no podía</span>" not in narrowed
    assert "Nada con esos filtros" in world.client.get("/privacy/uses?application=nobody").text


def test_the_download_holds_everything_and_its_receipts_verify(
    world: World, ana: Person, tmp_path: Path
) -> None:
    give(world, ana)
    withdraw(world, ana)
    calls_as(world, application())
    ask(world, ana)
    bruno = give(world, introduce(world, "bruno@example.com"))
    world.count_uses()
    world.settle()
    client = world.client
    token = csrf_token(client.get("/privacy/download").text)
    answer = client.post("/privacy/download", data={"csrf_token": token})
    assert answer.mimetype == "application/zip"
    assert client.post("/privacy/download").status_code == 400  # a form of ours alone
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
        whole = b"".join(archive.read(name) for name in names).decode()
    assert bruno.event_id not in whole
    history = json.loads((tmp_path / "historial.json").read_text(encoding="utf-8"))
    assert [line["what"] for line in history] == [
        "Retiraste: La carta del mes",
        "Aceptaste: La carta del mes",
    ]
    assert json.loads((tmp_path / "usos.json").read_text())["uses"][0]["outcome"] == "deny"
    receipts = [name for name in names if name.startswith("recibos/")]
    assert len(receipts) == 4
    ran = subprocess.run(
        [
            sys.executable,
            "-I",
            "comprobar/verify_receipt.py",
            "--keys",
            "comprobar/keys.json",
            "--log-key",
            "comprobar/key.txt",
            *receipts,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.count(": good\n")) == (0, 4), ran.stdout + ran.stderr


def test_a_consent_that_ends_soon_can_be_renewed_or_withdrawn_in_one_step(
    world: World, ana: Person
) -> None:
    client, event = world.client, give(world, ana)
    assert event.expires_at
    assert "Renovar" not in card(client.get("/privacy").text, "newsletter")
    world.clock.now = event.expires_at - timedelta(days=12)
    renew, take_back = re.findall(
        r"<button.*?</button>", card(client.get("/privacy").text, "newsletter"), re.DOTALL
    )
    assert renew.replace("renew", "withdraw").replace("Renovar", "Retirar") == take_back
    assert press(client, "newsletter", "renew").status_code == 303
    assert "Has renovado tu consentimiento" in client.get("/privacy").text
    assert said(world, ana)[-1] == ("newsletter", ConsentAction.RENEWED)
    assert "Renovaste: La carta del mes" in client.get("/privacy/history").text
