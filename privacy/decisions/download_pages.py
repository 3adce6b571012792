"""Everything that the privacy centre shows, as one file, with the proofs and what checks them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import chain
from typing import ClassVar, Final, TypeVar

from flask import Blueprint, Response, render_template, stream_with_context
from flask_babel import gettext
from sqlalchemy.orm import Session

from policies.assurance import Action
from policies.vocabulary import EventTag, RetentionClass, Scope
from privacy.audit.inclusion import Inclusions
from privacy.clock import rfc3339
from privacy.consent import store
from privacy.consent.attachments import Attachments
from privacy.consent.model import ConsentEvent
from privacy.consent.pages import person
from privacy.consent.portal_history import Line, besides, said
from privacy.consent.portal_store import events_newest_first
from privacy.consent.receipt_pages import pretty
from privacy.consent.receipt_schema_pages import DOCS
from privacy.consent.receipts import Receipts
from privacy.consent.service import Consents
from privacy.decisions.uses import UseCounter
from privacy.decisions.zipping import File, zipped
from privacy.events import Event, Json
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE = "/privacy/download"
SCRIPT = "verify_receipt.py"
#: So many events are read, and their receipts signed, between two writes to the network.
EVENTS_AT_ONCE: Final = 50

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class EverythingDownloaded(Event):
    """The person took everything that the privacy centre shows. Source: GDPR Art. 15(3), 20."""

    tag: ClassVar[EventTag] = EventTag.DECISIONS_DATA_DOWNLOADED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


class Download:
    """Puts together what the person takes away, a piece at a time.

    Between two pieces it keeps neither a transaction nor a connection: whoever reads slowly keeps
    nobody waiting. What was said once stays so, hence nothing contradicts itself.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        consents: Consents,
        receipts: Receipts,
        uses: UseCounter,
        attachments: Attachments,
        read_log_key: Callable[[], str],
    ) -> None:
        self._runtime = runtime
        self._consents = consents
        self._receipts = receipts
        self._uses = uses
        self._attachments = attachments
        self._read_log_key = read_log_key

    def archive(self, subject_id: str, now: datetime) -> Iterator[bytes]:
        """Yield the ZIP of one person as of now.

        Args:
            subject_id: the person.
            now: aware; the receipts' date of issue.
        """
        return zipped(self._files(subject_id, now), now)

    def _files(self, subject_id: str, now: datetime) -> Iterator[File]:
        yield _text(gettext("LEEME.txt"), _readme())
        yield "historial.json", _array(self._history(subject_id))
        with self._runtime.snapshot() as session:
            rest = self._consents.besides_events(session, subject_id)
            uses = dict(self._uses.collect(session, subject_id))
            keys = json.dumps(self._receipts.keys(session))
        yield "consentimientos.json", _with_array("events", self._exported(subject_id), rest)
        yield _text("usos.json", pretty(uses))
        yield from self._signed(subject_id, now)
        for number, (name, content) in enumerate(self._attachments.files(subject_id), 1):
            yield f"pruebas/{number:03}-{name}", [content]
        yield _text("comprobar/keys.json", keys)
        yield _text("comprobar/key.txt", f"{self._read_log_key()}\n")
        yield _text(f"comprobar/{SCRIPT}", (DOCS / SCRIPT).read_text(encoding="utf-8"))

    def _history(self, subject_id: str) -> Iterator[Json]:
        register = self._consents.register
        with self._runtime.snapshot() as session:
            others = besides(session, register, subject_id)
        events = (said(register, event) for event in self._newest_first(subject_id))
        for line in merge(reversed(others), events, key=_when, reverse=True):
            yield {
                "at": rfc3339(line.at),
                "kind": line.kind.value,
                "purpose": line.purpose,
                "what": line.what,
                "detail": line.detail.striptags(),
            }

    def _newest_first(self, subject_id: str) -> Iterator[ConsentEvent]:
        last: ConsentEvent | None = None
        while True:
            with self._runtime.snapshot() as session:
                page = events_newest_first(session, subject_id, before=last, limit=EVENTS_AT_ONCE)
            yield from page
            if len(page) < EVENTS_AT_ONCE:
                return
            last = page[-1]

    def _exported(self, subject_id: str) -> Iterator[Json]:
        def one(session: Session, page: list[ConsentEvent]) -> list[Json]:
            return [self._consents.exported(session, event) for event in page]

        return self._by_page(subject_id, one)

    def _signed(self, subject_id: str, now: datetime) -> Iterator[File]:
        def signed(session: Session, page: list[ConsentEvent]) -> list[File]:
            inclusions = Inclusions(session)
            files = []
            for event in page:
                words = self._consents.words_of(session, event)
                issued = self._receipts.issue(
                    session, event, words, person=None, at=now, inclusions=inclusions
                )
                name = f"recibos/{event.event_id}"
                files.append(_text(f"{name}.jws", issued.jws))
                files.append(_text(f"{name}.jsonld", pretty(issued.json_ld())))
            return files

        return self._by_page(subject_id, signed)

    def _by_page(
        self, subject_id: str, make: Callable[[Session, list[ConsentEvent]], list[Made]]
    ) -> Iterator[Made]:
        """What is made of the person's events, oldest first."""
        wanted, last = store.EventFilter(subject_id=subject_id), None
        while True:
            with self._runtime.snapshot() as session:
                page = store.select_events(
                    session, wanted, after_ordinal=last, limit=EVENTS_AT_ONCE
                )
                made = make(session, page)
            yield from made
            if len(page) < EVENTS_AT_ONCE:
                return
            last = page[-1].ordinal


def blueprint(runtime: Runtime, download: Download) -> Blueprint:
    """Return the page and the file."""
    routes = Blueprint("decisions_download_pages", __name__)

    @routes.get(PAGE)
    @requires(Scope.SIGNED_IN)
    def offer() -> str:
        """What the file holds."""
        person()
        return render_template("decisions/download.html")

    @routes.post(PAGE)
    @requires(Scope.SIGNED_IN, Action.SEE_ALL_DATA, page=PAGE)
    def take() -> Response:
        """Everything as one ZIP; no byte of it leaves before it is recorded who took it."""
        with runtime.unit_of_work(current_actor()) as uow:
            uow.record(EverythingDownloaded(subject_id=person()))
            now = uow.now
            uow.commit()
        body = stream_with_context(download.archive(person(), now))
        response = Response(body, mimetype="application/zip")
        name = f"placet-{now.date().isoformat()}.zip"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    return routes


def _readme() -> str:
    return str(
        gettext(
            "Lo que dijiste, los recibos firmados y quién preguntó por tus datos.\n\n"
            "historial.json: todo lo que pasó, con su día y su hora.\n"
            "consentimientos.json: lo mismo con las palabras exactas que viste.\n"
            "usos.json: qué aplicación preguntó, para qué, qué día y qué se le contestó.\n"
            "pruebas/: los documentos que van con lo que dijiste, si los hay.\n"
            "recibos/: un recibo por cada cosa, firmado (.jws) y para otros programas (.jsonld).\n"
            "comprobar/: las claves y un programa con los que cualquiera comprueba los recibos sin "
            "preguntarnos:\n\n"
            "python comprobar/verify_receipt.py --keys comprobar/keys.json "
            "--log-key comprobar/key.txt recibos/*.jws\n"
        )
    )


def _when(line: Line) -> datetime:
    return line.at


def _text(name: str, text: str) -> File:
    return name, [text.encode()]


def _array(items: Iterable[Json]) -> Iterator[bytes]:
    """A JSON array that is written while its items come."""
    separator = "[\n"
    for item in items:
        yield (separator + "  " + pretty(item).replace("\n", "\n  ")).encode()
        separator = ",\n"
    yield b"[]" if separator == "[\n" else b"\n]"


def _with_array(name: str, items: Iterable[Json], rest: Mapping[str, Json]) -> Iterator[bytes]:
    """A JSON object with an array of many items in it."""
    others = "".join(f",\n{json.dumps(key)}: {pretty(value)}" for key, value in rest.items())
    return chain([f"{{\n{json.dumps(name)}: ".encode()], _array(items), [f"{others}\n}}".encode()])
