"""Consent put together: what people say, in whose name, its receipts and lists, and its pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Blueprint

from privacy.consent import (
    api,
    ending_pages,
    notice_pages,
    pages,
    people_assembly,
    portal_history,
    portal_waiting,
    receipt_api,
    receipt_pages,
    receipt_schema_pages,
)
from privacy.consent.acknowledgements import Acknowledgements
from privacy.consent.applications import ApplicationConsents
from privacy.consent.imports import ConsentImports
from privacy.consent.imports_writing import PlainWords
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.people_assembly import People
from privacy.consent.receipts import Receipts
from privacy.consent.service import Consents
from privacy.consent.usual_store import UsualStore
from privacy.consent.usual_words import UsualWords
from privacy.consent.waiting_model import QuestionsTo
from privacy.kernel import Kernel
from privacy.subjects.arrivals import Arrivals


@dataclass(frozen=True, slots=True)
class ConsentServices:
    """The services of consent, wired."""

    consents: Consents
    acknowledgements: Acknowledgements
    applications: ApplicationConsents
    people: People
    usual_words: UsualWords
    imports: ConsentImports
    receipts: Receipts
    lifecycle: Lifecycle


def assemble(kernel: Kernel) -> ConsentServices:
    """Wire the services."""
    register, subjects, pseudonyms = kernel.register, kernel.subjects, kernel.pseudonyms
    arrivals = Arrivals(kernel.sealer, subjects.identifiers, kernel.log)
    consents = Consents(register)
    people = people_assembly.assemble(
        runtime=kernel.runtime,
        sealer=kernel.sealer,
        subjects=subjects,
        consents=consents,
        postbox=kernel.postbox,
        base_url=kernel.base_url,
    )
    return ConsentServices(
        consents=consents,
        acknowledgements=Acknowledgements(register, consents),
        applications=ApplicationConsents(consents, subjects, pseudonyms, people.double_opt_in),
        people=people,
        usual_words=UsualWords(
            register,
            UsualStore(kernel.runtime.database.engine),
            kernel.log,
            kernel.sealer,
        ),
        imports=ConsentImports(
            kernel.runtime,
            register,
            consents.recording,
            subjects.identifiers,
            arrivals,
            pseudonyms,
            PlainWords(consents.keep_words, kernel.log, kernel.sealer),
        ),
        receipts=Receipts(register, kernel.signing_keys, kernel.base_url),
        lifecycle=Lifecycle(consents),
    )


def blueprints(
    kernel: Kernel,
    services: ConsentServices,
    *,
    local_path: Callable[[str | None], str | None],
    questions: QuestionsTo,
) -> Sequence[Blueprint]:
    """Return the pages and routes.

    Args:
        kernel: what it stands on.
        services: its own.
        local_path: says which addresses are ours to go on to.
        questions: what is open to a person.
    """
    runtime, consents = kernel.runtime, services.consents
    return (
        api.blueprint(runtime, consents, services.applications),
        pages.blueprint(runtime, consents, services.people.marketing, questions),
        portal_history.blueprint(runtime, consents),
        portal_waiting.blueprint(runtime, consents, services.people.double_opt_in, questions),
        receipt_api.blueprint(runtime, consents, services.applications, services.receipts),
        receipt_pages.blueprint(runtime, consents, services.receipts),
        receipt_schema_pages.blueprint(),
        notice_pages.blueprint(runtime, consents, services.acknowledgements, local_path),
        ending_pages.blueprint(
            ending_pages.EndingPages(
                runtime, services.lifecycle, kernel.subjects, kernel.pseudonyms, kernel.register
            )
        ),
        *people_assembly.blueprints(
            services.people,
            runtime=runtime,
            subjects=kernel.subjects,
            consents=consents,
            applications=services.applications,
            postbox=kernel.postbox,
            base_url=kernel.base_url,
        ),
    )
