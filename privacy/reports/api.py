"""`GET /v1/reports/consents`: the desk's evidence for programs."""

from __future__ import annotations

from flask import Blueprint, Response

from policies.vocabulary import Scope
from privacy.http import current_actor, parse_query, requires
from privacy.openapi import Operation, documented
from privacy.reports.download import download
from privacy.reports.model import ExportForm
from privacy.reports.schemas import ExportAnswer, ReportQuery
from privacy.reports.service import ConsentReports
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, reports: ConsentReports) -> Blueprint:
    """Return the routes of the reports."""
    routes = Blueprint("reports_api", __name__)

    @routes.get("/v1/reports/consents")
    @requires(Scope.REPORTS_READ)
    @documented(
        Operation(
            summary="Export consent events, newest first, with checkpoint and proofs",
            tag="reports",
            query=ReportQuery,
            answers={200: ExportAnswer},
            problems=("invalid-input", "conflict"),
        )
    )
    def consents() -> Response:
        """Return a page of evidence; it names people by subject id, so the scope is the DPO's."""
        filters, place = parse_query(ReportQuery())
        return download(
            runtime,
            reports,
            current_actor(),
            filters,
            ExportForm.JSON,
            after=place["after"],
            limit=place["limit"],
        )

    return routes
