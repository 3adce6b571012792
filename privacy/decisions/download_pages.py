"""Everything that the privacy centre shows, as one file, with the proofs and what checks them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime

from flask import Blueprint, Response, render_template
from flask_babel import gettext
from sqlalchemy.orm import Session

from policies.assurance import Action
from policies.vocabulary import Scope
from privacy.audit.inclusion import Inclusions
from privacy.clock import rfc3339
from privacy.consent.pages import person
from privacy.consent.portal_history import lines_of
from privacy.consent.receipt_pages import pretty
from privacy.consent.receipt_schema_pages import DOCS
from privacy.consent.receipts import Receipts
from privacy.consent.service import Consents
from privacy.decisions.uses import UseCounter
from privacy.events import Json
from privacy.http import requires
from privacy.unit_of_work import Runtime

PAGE = "/privacy/download"
SCRIPT = "verify_receipt.py"

#: A file's name and its bytes.
File = tuple[str, bytes]


class Download:
    """Puts together what the person takes away."""

    def __init__(
        self,
        consents: Consents,
        receipts: Receipts,
        uses: UseCounter,
        read_log_key: Callable[[], str],
    ) -> None:
        self._consents = consents
        self._receipts = receipts
        self._uses = uses
        self._read_log_key = read_log_key

    def archive(self, session: Session, subject_id: str, now: datetime) -> bytes:
        """Return the ZIP of one person as of now.

        Args:
            session: one snapshot.
            subject_id: the person.
            now: aware; the receipts' date of issue.
        """
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self._files(session, subject_id, now):
                entry = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        return content.getvalue()

    def _files(self, session: Session, subject_id: str, now: datetime) -> Iterator[File]:
        yield _text(gettext("LEEME.txt"), _readme())
        yield _json("historial.json", self._history(session, subject_id))
        yield _json("consentimientos.json", dict(self._consents.collect(session, subject_id)))
        yield _json("usos.json", dict(self._uses.collect(session, subject_id)))
        inclusions = Inclusions(session)
        for event in self._consents.history(session, subject_id):
            words = self._consents.words_of(session, event)
            issued = self._receipts.issue(
                session, event, words, person=None, at=now, inclusions=inclusions
            )
            yield _text(f"recibos/{event.event_id}.jws", issued.jws)
            yield _json(f"recibos/{event.event_id}.jsonld", issued.json_ld())
        keys = json.dumps(self._receipts.keys(session))
        yield _text("comprobar/keys.json", keys)
        yield _text("comprobar/key.txt", f"{self._read_log_key()}\n")
        yield _text(f"comprobar/{SCRIPT}", (DOCS / SCRIPT).read_text(encoding="utf-8"))

    def _history(self, session: Session, subject_id: str) -> Json:
        return [
            {
                "at": rfc3339(line.at),
                "kind": line.kind.value,
                "purpose": line.purpose,
                "what": line.what,
                "detail": line.detail.striptags(),
            }
            for line in lines_of(session, self._consents, subject_id)
        ]


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
        """Everything as one ZIP."""
        now = runtime.clock()
        with runtime.snapshot() as session:
            content = download.archive(session, person(), now)
        response = Response(content, mimetype="application/zip")
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
            "recibos/: un recibo por cada cosa, firmado (.jws) y para otros programas (.jsonld).\n"
            "comprobar/: las claves y un programa con los que cualquiera comprueba los recibos sin "
            "preguntarnos:\n\n"
            "python comprobar/verify_receipt.py --keys comprobar/keys.json "
            "--log-key comprobar/key.txt recibos/*.jws\n"
        )
    )


def _text(name: str, text: str) -> File:
    return name, text.encode()


def _json(name: str, document: Json) -> File:
    return _text(name, pretty(document))
