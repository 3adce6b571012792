"""Who asked to use my data, for what, and what they were told."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template
from flask_babel import format_date, format_decimal, gettext

from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent.pages import person
from privacy.consent.words import title_of
from privacy.decisions.model import Outcome
from privacy.decisions.uses import KEPT_MONTHS, UseCounter
from privacy.http import requires
from privacy.unit_of_work import Runtime


def blueprint(
    runtime: Runtime,
    register: Register,
    uses: UseCounter,
    application_name: Callable[[str], str],
) -> Blueprint:
    """Return the page.

    Args:
        runtime: the doors.
        register: names the purposes.
        uses: the counts.
        application_name: from a pseudonymisation domain to the application's display name.
    """
    routes = Blueprint("decisions_pages", __name__)

    @routes.get("/privacy/uses")
    @requires(Scope.SIGNED_IN)
    def asked() -> str:
        """Who asked, for what, and what was answered."""
        with runtime.snapshot() as session:
            found = uses.of_subject(session, person())
        names = {domain: application_name(domain) for domain in {use.domain for use in found}}
        answers = {Outcome.PERMIT: gettext("Sí"), Outcome.DENY: gettext("No")}
        rows = [
            (
                format_date(use.day, "long"),
                names[use.domain],
                title_of(register, use.purpose),
                answers[use.outcome],
                format_decimal(use.count),
            )
            for use in found
        ]
        return render_template("decisions/uses.html", rows=rows, kept_months=KEPT_MONTHS)

    return routes
