"""Who asked to use my data, for what, and what they were told."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from flask import Blueprint, render_template, request
from flask_babel import format_date, format_decimal, gettext

from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent.pages import person
from privacy.consent.portal_history import page_number
from privacy.consent.words import title_of
from privacy.decisions.model import Outcome, Use
from privacy.decisions.uses import KEPT_MONTHS, UseCounter
from privacy.http import requires
from privacy.unit_of_work import Runtime

PAGE_SIZE = 50


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
        """Who asked, for what, and what was answered, narrowed as the address says."""
        with runtime.snapshot() as session:
            every = uses.of_subject(session, person())
        wanted = {name: request.args.get(name, "") for name in ("application", "purpose", "answer")}
        found = [use for use in every if _is_wanted(use, wanted)]
        pages = max(1, -(-len(found) // PAGE_SIZE))
        page = page_number(request.args.get("page"), pages)
        names = {domain: application_name(domain) for domain in {use.domain for use in every}}
        answers = dict(answer_words())

        def page_url(number: int) -> str:
            narrowed = {name: value for name, value in wanted.items() if value}
            return f"/privacy/uses?{urlencode({**narrowed, 'page': number})}"

        return render_template(
            "decisions/uses.html",
            rows=[
                (
                    format_date(use.day, "long"),
                    names[use.domain],
                    title_of(register, use.purpose),
                    answers[use.outcome],
                    format_decimal(use.count),
                )
                for use in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
            ],
            is_empty=not every,
            page=page,
            pages=pages,
            url_for_page=page_url,
            wanted=wanted,
            applications=_options(names),
            purposes=_options({use.purpose: title_of(register, use.purpose) for use in every}),
            answers=_options({outcome.value: words for outcome, words in answer_words()}),
            kept_months=KEPT_MONTHS,
        )

    return routes


def answer_words() -> list[tuple[Outcome, str]]:
    """What an application was told, in words."""
    return [
        (Outcome.PERMIT, gettext("Que sí podía")),
        (Outcome.DENY, gettext("Que no podía")),
    ]


def _is_wanted(use: Use, wanted: dict[str, str]) -> bool:
    held = {"application": use.domain, "purpose": use.purpose, "answer": use.outcome.value}
    return all(value in ("", held[name]) for name, value in wanted.items())


def _options(named: dict[str, str]) -> list[tuple[str, str]]:
    return [("", gettext("Todo")), *sorted(named.items(), key=lambda each: each[1])]
