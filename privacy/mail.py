"""Letters to people: queued in the transaction that causes them, rendered and sent by the worker.

A letter `NAME` is two templates, `templates/mail/NAME.txt` and `NAME.html`; the first line of the
text one is the subject.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import cast

from flask import Flask, render_template
from flask_babel import force_locale

from privacy.clock import Clock
from privacy.events import Json
from privacy.ids import Ids, new_id
from privacy.languages import locale_of
from privacy.outbox import Outbox
from privacy.settings import Mail
from privacy.unit_of_work import UnitOfWork

TIMEOUT_SECONDS = 20
KIND = "mail"


class MailRefused(OSError):
    """The mail server did not take the letter; the message names no address."""


class Postbox:
    """Puts letters into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def send(
        self,
        uow: UnitOfWork,
        *,
        to: str,
        letter: str,
        locale: str,
        values: Mapping[str, Json] | None = None,
    ) -> None:
        """Queue a letter in the caller's transaction.

        Args:
            uow: the caller's unit of work.
            to: the address.
            letter: the name of its templates.
            locale: the language it is written in.
            values: what the templates show; sealed until the letter is sent.
        """
        message: dict[str, Json] = {
            "to": to,
            "letter": letter,
            "locale": locale,
            "values": dict(values or {}),
        }
        self._outbox.put(uow, KIND, message)


Transport = Callable[[EmailMessage], None]


def smtp_transport(settings: Mail) -> Transport:
    """Return a transport that hands letters to the configured SMTP server. Source: RFC 5321."""

    def send(message: EmailMessage) -> None:
        try:
            with smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_SECONDS) as server:
                if settings.starttls:
                    server.starttls()
                if settings.username:
                    server.login(settings.username, settings.password)
                server.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise MailRefused(f"the mail server answered {error.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _text in error.recipients.values()})
            raise MailRefused(f"the mail server refused the recipient: {codes}") from None
        except smtplib.SMTPException as error:
            raise MailRefused(type(error).__name__) from None

    return send


def folder_transport(folder: Path, clock: Clock, ids: Ids) -> Transport:
    """Return the demo's transport: letters become `.eml` files that `/dev/mailbox` shows."""

    def send(message: EmailMessage) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{clock():%Y%m%dT%H%M%S%f}-{new_id(ids)[:8]}.eml"
        draft = folder / f".{name}"
        draft.write_bytes(message.as_bytes(policy=SMTP))
        draft.rename(folder / name)

    return send


def letter_sender(
    app: Flask, sender: str, transport: Transport, clock: Clock
) -> Callable[[Mapping[str, Json]], None]:
    """Return the outbox's deliverer of letters."""

    def deliver(message: Mapping[str, Json]) -> None:
        transport(
            render(
                app,
                sender=sender,
                to=str(message["to"]),
                letter=str(message["letter"]),
                locale=str(message["locale"]),
                values=cast("Mapping[str, Json]", message["values"]),
                clock=clock,
            )
        )

    return deliver


def render(
    app: Flask,
    *,
    sender: str,
    to: str,
    letter: str,
    locale: str,
    values: Mapping[str, Json],
    clock: Clock,
) -> EmailMessage:
    """Return the letter as plain text with an HTML alternative."""
    with (
        app.test_request_context(base_url=app.config["PLACET_BASE_URL"]),
        force_locale(locale_of(locale)),
    ):
        text = render_template(f"mail/{letter}.txt", **values)
        html = render_template(f"mail/{letter}.html", **values)
    subject, _, body = text.partition("\n")
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject.strip()
    message["Date"] = format_datetime(clock())
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body.lstrip("\n"))
    message.add_alternative(html, subtype="html")
    return message
