"""Decisions put together: the authority, its counts, the requests for access, and its pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Blueprint

from privacy.consent.assembly import ConsentServices
from privacy.consent.service import Consents
from privacy.consent.waiting_model import QuestionsTo
from privacy.decisions import (
    access_request_api,
    access_request_pages,
    api,
    download_pages,
    moment_pages,
    pages,
    search_api,
    whatif_pages,
)
from privacy.decisions.access_requests import AccessRequests, Applications
from privacy.decisions.evidence import DecisionEvidence
from privacy.decisions.past import PastDecisions
from privacy.decisions.search import PeopleSearch
from privacy.decisions.search_page import PeoplePages
from privacy.decisions.search_tokens import PageTokens
from privacy.decisions.service import Decisions
from privacy.decisions.use_spool import UseSpool
from privacy.decisions.uses import UseCounter
from privacy.decisions.waiting import OpenQuestions
from privacy.kernel import Kernel
from privacy.prepared import Connections


@dataclass(frozen=True, slots=True)
class DecisionServices:
    """The services of decisions, wired."""

    uses: UseCounter
    decisions: Decisions
    search: PeopleSearch
    people: PeoplePages
    past: PastDecisions
    access_requests: AccessRequests


def assemble(kernel: Kernel, consents: Consents, applications: Applications) -> DecisionServices:
    """Wire the services.

    Args:
        kernel: what they stand on.
        consents: what people said.
        applications: those of this deployment.
    """
    spool = UseSpool(kernel.settings.instance / "uses")
    uses = UseCounter(kernel.runtime, kernel.time_zone, spool)
    decisions = Decisions(consents, uses, kernel.pseudonyms.of_event)
    search = PeopleSearch(Connections(kernel.runtime.database.engine), decisions.rules, uses)
    return DecisionServices(
        uses=uses,
        decisions=decisions,
        search=search,
        people=PeoplePages(decisions, search, PageTokens(kernel.keyring)),
        past=PastDecisions(consents, kernel.subjects, kernel.pseudonyms),
        access_requests=AccessRequests(
            consents=consents,
            decisions=decisions,
            pseudonyms=kernel.pseudonyms,
            applications=applications,
        ),
    )


def open_questions(services: DecisionServices, consent: ConsentServices) -> QuestionsTo:
    """Return what tells which questions are open to a person."""
    questions = OpenQuestions(
        consents=consent.consents,
        double_opt_in=consent.people.double_opt_in,
        requests=services.access_requests,
    )
    return questions.to


def api_blueprints(kernel: Kernel, services: DecisionServices) -> Sequence[Blueprint]:
    """Return the routes that applications ask."""
    runtime, base_url = kernel.runtime, kernel.base_url
    evidence = DecisionEvidence(kernel.signing_keys, base_url)
    return (
        api.blueprint(runtime, services.decisions, evidence, base_url),
        search_api.blueprint(runtime, services.decisions, services.people),
        access_request_api.blueprint(runtime, services.access_requests, base_url),
    )


def blueprints(
    kernel: Kernel,
    services: DecisionServices,
    consent: ConsentServices,
    *,
    application_name: Callable[[str], str],
) -> Sequence[Blueprint]:
    """Return the pages and routes.

    Args:
        kernel: what they stand on.
        services: its own.
        consent: what people said, and its receipts.
        application_name: from a pseudonymisation domain to the application's display name.
    """
    runtime, register = kernel.runtime, kernel.register
    return (
        moment_pages.blueprint(runtime, services.past, register),
        whatif_pages.blueprint(
            whatif_pages.RegisterPages(runtime, register, kernel.settings.instance / "registers")
        ),
        *api_blueprints(kernel, services),
        access_request_pages.blueprint(runtime, consent.consents, services.access_requests),
        pages.blueprint(runtime, register, services.uses, application_name),
        download_pages.blueprint(
            runtime,
            download_pages.Download(
                runtime,
                consents=consent.consents,
                receipts=consent.receipts,
                uses=services.uses,
                attachments=consent.people.attachments,
                read_log_key=lambda: kernel.log_verifier().vkey,
            ),
        ),
    )
