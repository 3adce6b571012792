"""Text messages to people: queued like letters, handed by the worker to the operator's gateway.

Placet sends none itself. The gateway takes `POST {"to": "+34…", "text": "…"}` with a bearer token
and answers 2xx once it has taken the message. A text is the template `templates/sms/NAME.txt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, cast

import requests
from flask import Flask, render_template
from flask_babel import force_locale

from privacy.clock import Clock
from privacy.events import Json
from privacy.mail import Transport
from privacy.outbox import Outbox
from privacy.settings import Sms
from privacy.unit_of_work import UnitOfWork

KIND: Final = "sms"
#: To connect, and between two parts of the answer, whose body is not read.
TIMEOUT_SECONDS: Final = 10

#: Hands one text over: (number in E.164, words). Raises `OSError` where it was not taken.
Gateway = Callable[[str, str], None]


class TextRefused(OSError):
    """The gateway did not take the text; the message names no number."""


class Texts:
    """Puts text messages into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def send(
        self, uow: UnitOfWork, *, to: str, text: str, locale: str, values: Mapping[str, Json]
    ) -> None:
        """Queue a text message in the caller's transaction.

        Args:
            uow: the caller's unit of work.
            to: the number, E.164.
            text: the name of its template.
            locale: the language it is written in.
            values: what the template shows; sealed until it is sent.
        """
        message: dict[str, Json] = {
            "to": to,
            "text": text,
            "locale": locale,
            "values": dict(values),
        }
        self._outbox.put(uow, KIND, message)


def http_gateway(settings: Sms) -> Gateway:
    """Return the operator's gateway. It follows no redirect: the token is for one address."""

    def hand_over(to: str, text: str) -> None:
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no .netrc that nobody set for us
            try:
                with session.post(
                    settings.url,
                    json={"to": to, "text": text},
                    headers=headers,
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    status = answer.status_code
            except requests.RequestException as error:
                raise TextRefused(type(error).__name__) from None
        if not 200 <= status < 300:
            raise TextRefused(f"the gateway answered {status}")

    return hand_over


def mailbox_gateway(sender: str, transport: Transport, clock: Clock) -> Gateway:
    """Return the demo's gateway: a text lies among the letters at `/dev/mailbox`."""

    def hand_over(to: str, text: str) -> None:
        message = EmailMessage()
        message["From"] = sender
        message["To"] = to
        message["Subject"] = "SMS"
        message["Date"] = format_datetime(clock())
        message.set_content(text)
        transport(message)

    return hand_over


def text_sender(app: Flask, gateway: Gateway) -> Callable[[Mapping[str, Json]], None]:
    """Return the outbox's deliverer of text messages."""

    def deliver(message: Mapping[str, Json]) -> None:
        values = cast("Mapping[str, Json]", message["values"])
        base_url = app.config["PLACET_BASE_URL"]
        with app.test_request_context(base_url=base_url), force_locale(str(message["locale"])):
            text = render_template(f"sms/{message['text']}.txt", **values)
        gateway(str(message["to"]), text.strip())

    return deliver
