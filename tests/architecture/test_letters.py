"""Every letter, in both languages: its subject, the code in the first line, one and the same text."""

from __future__ import annotations

import html
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from identity.accounts.notices import Notice
from policies.vocabulary import RetentionClass, Right
from privacy.consent.representation import Said
from privacy.events import Json
from privacy.languages import LANGUAGES
from privacy.mail import render
from privacy.settings import settings_from
from tests.support.world import CHEAP, NOON

MAILS = Path(__file__).parents[2] / "templates" / "mail"
SPANISH = re.compile(r"[áéíóúñÁÉÍÓÚÑ¿¡«»]")

#: What each letter is given. A new letter needs its line here.
LINK = "http://localhost:8000/x"
OF_A_REQUEST: dict[str, Json] = {
    "reference": "P7K2-MMQ4",
    "right": Right.ERASURE.value,
    "state": "open",
    "due": "DUE",
    "what": Notice.NEW_DEVICE.value,
    "said": "given",
    "said_by": "staff",
}
LETTERS: dict[str, dict[str, Json]] = {
    "account-closing": {"action_url": LINK, "until": "UNTIL"},
    "account-exists": {"action_url": LINK},
    "address-changed": {"added": True, "address": "a•••@example.com", "action_url": LINK},
    "address-proof": {"code": "12345678", "action_url": LINK},
    "address-taken": {},
    "come-of-age": {"action_url": LINK},
    "consent-confirm": {
        "purpose": "PURPOSE",
        "summary": "SUMMARY",
        "controller": "CONTROLLER",
        "days": 7,
        "action_url": LINK,
    },
    "consent-ends-soon": {
        "purpose": "PURPOSE",
        "until": "UNTIL",
        "others": [{"title": "OTHER", "until": "DAY"}],
        "action_url": LINK,
    },
    "factor-recovery": {"code": "12345678", "action_url": LINK},
    "factor-recovery-code": {"code": "12345678"},
    "factor-recovery-ready": {"action_url": LINK},
    "factor-recovery-waits": {"until": "UNTIL", "action_url": LINK},
    "guardian-invited": {"action_url": LINK, "child": "CHILD", "days": 14},
    "identity-proof": {"code": "12345678"},
    "marketing-objection": {"action_url": LINK, "purpose": "PURPOSE"},
    "new-address": {"code": "12345678", "action_url": LINK},
    "recovery": {"code": "12345678", "action_url": LINK},
    "registration": {"code": "12345678", "action_url": LINK},
    "restriction-lifting": {"reason": "REASON", "days": 3},
    "rights-access-link": {"action_url": LINK, "until": "UNTIL"},
    "rights-answered": {
        "text": "ANSWER",
        "refused": True,
        "authority": "AEPD",
        "authority_url": "https://www.aepd.es",
    },
    "rights-erased": {"text": "", "kept": {each.value: "DAY" for each in RetentionClass}},
    "rights-received": {"action_url": LINK, "purpose": "PURPOSE", "marketing": True},
    "rights-verify": {"code": "12345678", "action_url": LINK},
    "security-notice": {"details": {"device": "Firefox, Linux", "network": "203.0.113.0/24"}},
    "sign-in-code": {"code": "12345678", "device": "DEVICE", "network": "203.0.113.0/24"},
    "word-recorded": {"action_url": LINK, "purpose": "PURPOSE"},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """A deployment whose database nobody opens."""
    folder = tmp_path_factory.mktemp("letters")
    database = {"PLACET_DATABASE_URL": f"sqlite:///{folder / 'none.sqlite3'}"}
    return create_app(settings_from(CHEAP | database, folder))


def letter(app: Flask, name: str, language: str, **values: Json) -> EmailMessage:
    return render(
        app,
        sender="placet@example.com",
        to="ana@example.com",
        letter=name,
        locale=language,
        values=OF_A_REQUEST | LETTERS[name] | values,
        clock=lambda: NOON,
    )


def bodies(message: EmailMessage) -> tuple[str, str]:
    """The plain words, and the words of the HTML form without its tags."""
    parts = [message.get_body((kind,)) for kind in ("plain", "html")]
    plain, markup = (str(part.get_content()) if part else "" for part in parts)
    return plain, " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def test_every_letter_has_both_forms_and_is_tried_here() -> None:
    for form in ("txt", "html"):
        names = {path.stem for path in MAILS.glob(f"*.{form}")} - {"base"}
        assert names == set(LETTERS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_reads_well(app: Flask, name: str, language: str) -> None:
    message = letter(app, name, language)
    plain, marked = bodies(message)
    assert re.fullmatch(r"[A-Z][^%{}]{5,60}", message["Subject"])
    for text in (plain, marked):
        assert re.findall(r"%\(|%%|\{\{|\bNone\b|\bUndefined\b|&(?:#\d+|\w+);", text) == []
        assert re.findall(r"\.\.|  +\.|!", text) == []
    for word in LETTERS[name].values():
        if isinstance(word, str):
            assert word in plain
            assert word in marked
    for line in plain.splitlines():  # both forms say the same
        assert line.strip(" -:") in marked
    assert "\n\n\n" not in plain
    if "code" in LETTERS[name]:
        assert "12345678" in plain.splitlines()[0]


@pytest.mark.parametrize("name", LETTERS)
def test_an_english_letter_has_no_spanish_in_it(app: Flask, name: str) -> None:
    english, spanish = letter(app, name, "en"), letter(app, name, "es")
    assert english["Subject"] != spanish["Subject"]
    for text in (english["Subject"], *bodies(english)):
        assert SPANISH.findall(text) == []
    said = set(bodies(spanish)[0].splitlines()) & set(bodies(english)[0].splitlines())
    assert {line for line in said if len(line.split()) > 1 and "@" not in line} == set()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("address-changed", {"added": False, "removed": True}),
        ("address-changed", {"added": False}),
        ("factor-recovery", {"by_staff": True}),
        ("factor-recovery-waits", {"reminder": True}),
        ("recovery", {"by_staff": True}),
        *(("security-notice", {"what": each.value}) for each in Notice),
        ("rights-answered", {"refused": False}),
        ("rights-received", {"state": "fulfilled", "purpose": None, "marketing": False}),
        ("rights-erased", {"text": "ANSWER"}),
        ("marketing-objection", {"purpose": None}),
        *(("word-recorded", {"said": each.value, "marketing": True}) for each in Said),
        ("word-recorded", {"said_by": "representative"}),
        ("word-recorded", {"said_by": "guardian"}),
    ],
)
def test_the_other_words_of_a_letter_are_translated_too(
    app: Flask, name: str, values: dict[str, Json]
) -> None:
    plain, marked = bodies(letter(app, name, "en", **values))
    assert SPANISH.findall(plain + marked) == []
    for line in plain.splitlines():
        assert line.strip(" -:") in marked
