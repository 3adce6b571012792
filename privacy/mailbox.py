"""The demo's mail program: shows at `/dev/mailbox` the letters that leave nobody's machine.

`app.py` adds it in demo mode alone; elsewhere the addresses do not exist. Whoever can reach it
reads every letter and every one-time code in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

from flask import Blueprint, Response, make_response, render_template
from flask_babel import format_datetime
from markupsafe import Markup, escape

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.http import requires

MOST_LETTERS = 100
FILE_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
ADDRESS = re.compile(r"https?://[^\s<>\"']+")
CODE = re.compile(r"(?<!\d)\d{8}(?!\d)")

#: The page around a letter may frame it; nothing else of its policy is wider than elsewhere.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
#: A letter styles its elements inline, runs nothing, fetches nothing and is in no origin.
LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it was handed over.

    Attributes:
        name: its name in addresses.
        sent_at: its date; aware UTC.
        sender: from whom.
        to: to whom.
        subject: its first line.
        text: the plain words.
        html: the same words as HTML; empty where there are none.
        code: the one-time code in it, or None.
    """

    name: str
    sent_at: datetime
    sender: str
    to: str
    subject: str
    text: str
    html: str
    code: str | None

    @property
    def sent_words(self) -> str:
        """When it was sent, in the reader's language and the controller's time zone."""
        return str(format_datetime(self.sent_at, "long"))

    @property
    def linked_text(self) -> Markup:
        """The plain words, safe, with every address a link."""
        done, parts = 0, []
        for found in ADDRESS.finditer(self.text):
            address = found[0].rstrip(".,;:)")
            parts += [escape(self.text[done : found.start()])]
            parts += [Markup('<a href="{0}">{0}</a>').format(address)]
            done = found.start() + len(address)
        return Markup().join([*parts, escape(self.text[done:])])


def read_letters(folder: Path) -> Sequence[Letter]:
    """Return the newest letters in the folder, newest first."""
    names = sorted((path.stem for path in folder.glob("*.eml")), reverse=True)
    return [read_letter(folder, name) for name in names[:MOST_LETTERS]]


def read_letter(folder: Path, name: str) -> Letter:
    """Return one letter.

    Raises:
        NotFound: there is none of this name.
    """
    path = folder / f"{name}.eml"
    if not FILE_NAME.fullmatch(name) or not path.is_file():
        raise NotFound("there is no such letter")
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    text = _part(message, "plain")
    code = CODE.search(ADDRESS.sub("", text))
    return Letter(
        name=name,
        sent_at=parsedate_to_datetime(str(message["Date"])),
        sender=str(message["From"]),
        to=str(message["To"]),
        subject=str(message["Subject"]),
        text=text,
        html=_part(message, "html"),
        code=code[0] if code else None,
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(cast("EmailMessage", part).get_content()).strip() if part else ""


def blueprint(folder: Path) -> Blueprint:
    """Return the pages over the letters in `folder`."""
    routes = Blueprint("mailbox", __name__)

    @routes.get("/dev/mailbox")
    @requires(Scope.PUBLIC)
    def letters() -> str:
        return render_template("mailbox/list.html", letters=read_letters(folder))

    @routes.get("/dev/mailbox/<name>")
    @requires(Scope.PUBLIC)
    def letter(name: str) -> Response:
        page = render_template("mailbox/letter.html", letter=read_letter(folder, name))
        response = make_response(page)
        response.headers["Content-Security-Policy"] = PAGE_POLICY
        return response

    @routes.get("/dev/mailbox/<name>/html")
    @requires(Scope.PUBLIC)
    def letter_html(name: str) -> Response:
        html = read_letter(folder, name).html
        if not html:
            raise NotFound("this letter is plain text")
        # Its links lead out of the frame; the mail itself stays as it was sent.
        response = make_response(html.replace("<head>", '<head><base target="_top">', 1))
        response.headers["Content-Security-Policy"] = LETTER_POLICY
        return response

    return routes
