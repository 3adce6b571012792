"""The main job from end to end: consent, decision, withdrawal, evidence. Nothing is stood in for."""

import json
import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.flows import steps
from tests.flows.steps import visitor
from tests.support.deployment import Deployment
from tests.support.processes import ROOT, wait_until
from tests.support.sample import DATABASES
from tests.support.smtp import MailServer

ANA, DELIA = "ana@example.com", "delia@example.com"
EVIDENCE_SECONDS = 10.0
PORTAL_PICTURE = ROOT / "docs" / "images" / "portal.png"


@DATABASES
def test_a_person_consents_the_shop_asks_the_person_withdraws_and_the_dpo_proves_it(
    placet: Deployment,
    shop_url: str,
    mail_server: MailServer,
    browser: Browser,
    pictures: Path,
    tmp_path: Path,
) -> None:
    with visitor(browser, placet.url, shop_url, pictures=pictures) as ana:
        ana.open("/register")
        ana.look("register")
        steps.fill_registration(ana, ANA)
        ana.look("code")
        ana.page.goto(steps.mailed_link(mail_server, ANA, path="/register/confirm/"))
        ana.look("confirm")
        ana.press("Confirmar")
        ana.page.wait_for_url("**/privacy")
        ana.look("undecided")
        steps.decide(ana, "recommendations", "Aceptar", "given")
        steps.decide(ana, "newsletter", "Rechazar", "refused")
        ana.look("decided")
        _keep_portal_picture(ana)
        steps.sign_out(ana)

        # The shop knows nobody: it sends Ana to Placet, and Placet sends her back.
        ana.page.goto(shop_url)
        ana.look("shop")
        steps.enter_shop(ana)
        ana.page.wait_for_url(f"{placet.url}/login?**")
        ana.look("login")
        steps.sign_in(ana, ANA)
        steps.arrive_in_shop(ana)
        steps.buy(ana, "arbequina")

        told = steps.see_product(ana, "picual")
        ana.look("personalised")
        assert steps.is_personalised(ana)
        assert told["recommendations"] == (True, "consent-given")
        assert told["newsletter"] == (False, "consent-refused")
        expect(ana.page.locator("[data-personalised=yes]")).to_contain_text("Aceite empeltre")

        ana.open("/privacy")
        steps.decide(ana, "recommendations", "Retirar", "withdrawn")
        ana.look("withdrawn")
        told = steps.see_product(ana, "picual")  # the very next page
        ana.look("neutral")
        assert not steps.is_personalised(ana)
        assert told["recommendations"] == (False, "consent-withdrawn")
        assert told["newsletter"] == (False, "consent-refused")

        for path, name in (("/privacy/history", "history"), ("/privacy/uses", "uses")):
            ana.open(path)
            ana.look(name)
        expect(ana.page.locator("main")).to_contain_text("Olivar y Sal")

    with visitor(browser, placet.url, pictures=pictures / "dpo") as delia:
        invited = placet.command("invite", "dpo")
        assert invited.returncode == 0, invited.stderr
        link = re.search(rf"{placet.url}/invitation/\S+", invited.stdout)
        assert link, invited.stdout
        steps.Finger(delia.page)
        delia.page.goto(link[0])
        delia.look("invitation")
        steps.fill_registration(delia, DELIA)
        steps.confirm_address(delia, mail_server, DELIA)
        delia.page.wait_for_url("**/account/passkeys")
        delia.look("passkeys")
        steps.add_passkey(delia)
        delia.look("recovery-codes")

        delia.open("/dpo")
        delia.look("desk")
        export, table = _export(delia, tmp_path)
        delia.look("consents")
        for page in ("people", "moment", "endings", "register"):
            delia.open(f"/dpo/{page}")
            delia.look(page)

    assert _purposes_and_actions(export) == [
        ("newsletter", "refused"),
        ("recommendations", "given"),
        ("recommendations", "withdrawn"),
    ]
    assert table.read_bytes().count(b"recommendations") >= 2
    _verify(placet, export, expected=0)
    _alter_one_byte_of_a_payload(export)
    _verify(placet, export, expected=1)
    verified = placet.command("audit", "verify")
    assert verified.returncode == 0, verified.stderr


def _keep_portal_picture(ana: steps.Visitor) -> None:
    """Keep the picture that the README shows, where the run was asked to."""
    if os.environ.get("PLACET_SAVE_PICTURES") == "1":
        PORTAL_PICTURE.parent.mkdir(parents=True, exist_ok=True)
        ana.page.set_viewport_size({"width": 1040, "height": 1180})
        ana.open("/privacy")
        ana.page.screenshot(path=PORTAL_PICTURE)


def _export(delia: steps.Visitor, folder: Path) -> tuple[Path, Path]:
    """Download the evidence as JSON and CSV, once the worker has placed all of it."""
    files = folder / "evidence.json", folder / "evidence.csv"

    def download(name: str, file: Path) -> None:
        delia.open("/dpo/consents")
        with delia.page.expect_download() as coming:
            delia.page.get_by_role("button", name=name).click()
        coming.value.save_as(file)

    def everything_is_placed() -> bool:
        for name, file in zip(("JSON", "CSV"), files, strict=True):
            download(name, file)
        return len(json.loads(files[0].read_text(encoding="utf-8"))["entries"]) == 3

    wait_until(everything_is_placed, "three events are in the export", seconds=EVIDENCE_SECONDS)
    return files


def _purposes_and_actions(export: Path) -> list[tuple[str, str]]:
    entries: list[dict[str, Any]] = json.loads(export.read_text(encoding="utf-8"))["entries"]
    leaves = [json.loads(entry["leaf"]) for entry in entries]
    return sorted((leaf["purpose"], leaf["type"].rsplit(":", 1)[1]) for leaf in leaves)


def _verify(placet: Deployment, export: Path, *, expected: int) -> None:
    key = placet.instance / "keys" / "log.vkey"
    done = placet.command("audit", "verify", "--export", export, "--key-file", key)
    assert done.returncode == expected, done.stdout + done.stderr


def _alter_one_byte_of_a_payload(export: Path) -> None:
    data = bytearray(export.read_bytes())
    place = data.index(b"Recomendaciones", data.index(b'"payload":'))
    data[place] ^= 0x20  # a small r, as if nothing were
    export.write_bytes(data)
