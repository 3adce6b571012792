"""The reports put together: the desk's pages and the API over one service."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint

from privacy.kernel import Kernel
from privacy.reports import api, pages
from privacy.reports.service import ConsentReports


def blueprints(kernel: Kernel) -> Sequence[Blueprint]:
    """Return the pages and routes."""
    reports = ConsentReports(kernel.register, kernel.log, kernel.subjects, kernel.log_verifier)
    return (
        api.blueprint(kernel.runtime, reports),
        pages.blueprint(kernel.runtime, reports, kernel.register),
    )
