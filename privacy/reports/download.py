"""Handing out an export: hashed, recorded, and only then sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from flask import Response

from privacy.actor import Actor
from privacy.reports.model import ExportForm, Filters
from privacy.reports.service import ConsentReports
from privacy.unit_of_work import Runtime

MEDIA_TYPES = {
    ExportForm.JSON: "application/json",
    ExportForm.CSV: "text/csv; charset=utf-8; header=present",
}


def download(
    runtime: Runtime,
    reports: ConsentReports,
    actor: Actor,
    filters: Filters,
    form: ExportForm,
    *,
    after: int | None = None,
    limit: int | None = None,
) -> Response:
    """Return the export as a streamed answer, after its hash was recorded in the log.

    The file is made twice from one snapshot, so that no byte leaves unrecorded and no plain copy
    rests on our disk.
    """
    at = runtime.clock()
    with ExitStack() as opened:
        session = opened.enter_context(runtime.snapshot())
        export = reports.export(
            session, filters, form, by=actor.name, at=at, after=after, limit=limit
        )
        count, sha256 = export.digest()
        with runtime.unit_of_work(actor) as uow:
            reports.record(uow, filters, form, count, sha256)
        snapshot = opened.pop_all()

    def body() -> Iterator[bytes]:
        with snapshot:
            yield from export.chunks()

    response = Response(body(), content_type=MEDIA_TYPES[form])
    response.call_on_close(snapshot.close)  # also where nobody reads it
    return response
