"""Collection put together: what applications ask people for, profiles, and the pages of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint

from privacy.collection import api, pages, profile_pages
from privacy.collection.profile import Profiles
from privacy.collection.service import Applications, AttributeRequests
from privacy.consent.service import Consents
from privacy.decisions.service import Decisions
from privacy.kernel import Kernel


@dataclass(frozen=True, slots=True)
class CollectionServices:
    """The services of collection, wired."""

    attribute_requests: AttributeRequests
    profiles: Profiles


def assemble(
    kernel: Kernel, consents: Consents, decisions: Decisions, applications: Applications
) -> CollectionServices:
    """Wire the services."""
    return CollectionServices(
        attribute_requests=AttributeRequests(
            kernel.register,
            subjects=kernel.subjects,
            consents=consents,
            decisions=decisions,
            pseudonyms=kernel.pseudonyms,
            applications=applications,
        ),
        profiles=Profiles(
            kernel.register,
            subjects=kernel.subjects,
            decisions=decisions,
            applications=applications,
        ),
    )


def blueprints(kernel: Kernel, services: CollectionServices) -> Sequence[Blueprint]:
    """Return the pages and routes."""
    runtime, register, requests = kernel.runtime, kernel.register, services.attribute_requests
    return (
        api.blueprint(runtime, requests, kernel.base_url),
        pages.blueprint(runtime, register, services.profiles, requests),
        profile_pages.blueprint(
            runtime, services.profiles, requests, register.controller.age_of_consent
        ),
    )
