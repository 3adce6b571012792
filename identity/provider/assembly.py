"""The OpenID Provider put together: its services, whom it listens to, and its pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Blueprint

from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.model import AccountClosed, AccountDisabled, ClosingBegun
from identity.assembly import Identity
from identity.credentials.model import FactorRecoveryCompleted, PasswordSet
from identity.provider import (
    api,
    client_pages,
    consent_pages,
    grant_pages,
    logout_pages,
    pages,
    pushed_api,
)
from identity.provider.claims import Held, ReleasedClaims
from identity.provider.client_gate import ClientGate
from identity.provider.clients import Clients
from identity.provider.detours import Detours, WayCookie
from identity.provider.grant_model import GrantEnded
from identity.provider.grants import Grants
from identity.provider.logout import Logouts
from identity.provider.pushed import PushedRequests, Requests
from identity.provider.service import Provider
from identity.sessions.model import SessionEnded
from identity.sessions.service import Sessions
from privacy.consent.model import ConsentInvalidated, ConsentRevoked, ConsentWithdrawn
from privacy.consent.service import Consents
from privacy.decisions.service import Decisions
from privacy.kernel import Kernel
from privacy.keys.keyring import RootKey
from privacy.subjects.model import SubjectErased, SubjectsMerged
from privacy.unit_of_work import Runtime


@dataclass(frozen=True, slots=True)
class ProviderServices:
    """The services of the provider, wired."""

    clients: Clients
    provider: Provider
    pushed: PushedRequests
    requests: Requests
    detours: Detours
    grants: Grants
    released_claims: ReleasedClaims
    logouts: Logouts


def assemble(
    kernel: Kernel, consents: Consents, decisions: Decisions, sessions: Sessions
) -> ProviderServices:
    """Wire the services; `listen` lets them hear what they must act on."""
    runtime, keyring, issuer = kernel.runtime, kernel.keyring, kernel.base_url
    clients = Clients(kernel.register, kernel.pseudonyms)
    pushed = PushedRequests(kernel.sealer)
    return ProviderServices(
        clients=clients,
        provider=Provider(
            issuer,
            kernel.pseudonyms,
            kernel.signing_keys,
            keyring.derive(RootKey.COOKIE, "refresh"),
        ),
        pushed=pushed,
        requests=Requests(
            runtime=runtime,
            clients=clients,
            pushed=pushed,
            signing_keys=kernel.signing_keys,
            issuer=issuer,
        ),
        detours=Detours(
            keyring.derive(RootKey.COOKIE, "authorize"),
            runtime.clock,
            WayCookie(runtime.ids, https=kernel.settings.https),
        ),
        grants=Grants(subjects=kernel.subjects, consents=consents, decisions=decisions),
        released_claims=ReleasedClaims(
            kernel.register,
            subjects=kernel.subjects,
            decisions=decisions,
            pseudonyms=kernel.pseudonyms,
        ),
        logouts=Logouts(
            runtime=runtime,
            issuer=issuer,
            pseudonyms=kernel.pseudonyms,
            signing_keys=kernel.signing_keys,
            sessions=sessions,
            outbox=kernel.outbox,
            outbound=kernel.outbound,
        ),
    )


def application_name(runtime: Runtime, clients: Clients) -> Callable[[str], str]:
    """Return what tells people which application a pseudonymisation domain belongs to."""

    def name(domain: str) -> str:
        with runtime.snapshot() as session:
            found = clients.all(session)
        return ", ".join(c.name for c in found if c.sector == domain) or domain

    return name


def listen(runtime: Runtime, services: ProviderServices) -> None:
    """Let codes, tokens, grants and applications end with what they stand on."""
    logouts, grants = services.logouts, services.grants
    runtime.subscribe(SessionEnded, logouts.on_session_ended)
    runtime.subscribe(AccountDisabled, logouts.on_account_shut)
    runtime.subscribe(ClosingBegun, logouts.on_account_shut)
    runtime.subscribe(AccountClosed, logouts.on_account_shut)
    runtime.subscribe(GrantEnded, logouts.on_grant_ended)
    runtime.subscribe(SubjectErased, logouts.forget)
    runtime.subscribe(SubjectErased, Provider.forget)
    runtime.subscribe(SubjectErased, grants.forget)
    for ended in (ConsentWithdrawn, ConsentRevoked, ConsentInvalidated):
        runtime.subscribe(ended, grants.on_withdrawn)
    runtime.subscribe(SubjectsMerged, grants.on_subjects_merged)
    runtime.subscribe(AccountDisabled, Provider.on_account_shut)
    runtime.subscribe(ClosingBegun, Provider.on_account_shut)
    runtime.subscribe(PasswordSet, Provider.on_access_recovered)
    runtime.subscribe(FactorRecoveryCompleted, Provider.on_access_recovered)
    runtime.subscribe(AddressChangeUndone, Provider.on_access_recovered)


def blueprints(
    kernel: Kernel, services: ProviderServices, identity: Identity
) -> Sequence[Blueprint]:
    """Return the endpoints and the pages."""
    runtime, register = kernel.runtime, kernel.register
    clients, provider, logouts = services.clients, services.provider, services.logouts
    gate = ClientGate(runtime, clients, identity.attempts, kernel.base_url)
    return (
        api.blueprint(runtime, clients, provider, identity.attempts, services.released_claims),
        consent_pages.blueprint(
            consent_pages.ConsentPages(
                runtime=runtime,
                register=register,
                understood=services.requests.understood,
                grants=services.grants,
                held=Held(kernel.subjects),
                detours=services.detours,
                key=kernel.keyring.derive(RootKey.COOKIE, "consent-page"),
            )
        ),
        grant_pages.blueprint(grant_pages.GrantPages(runtime, register, services.grants)),
        client_pages.blueprint(
            client_pages.ClientPages(runtime, clients, logouts.results, register)
        ),
        logout_pages.blueprint(
            logout_pages.LogoutPages(runtime, clients, provider, logouts, identity.sessions)
        ),
        pushed_api.blueprint(runtime, gate, services.requests),
        pages.blueprint(
            pages.AuthorizePages(
                runtime=runtime,
                provider=provider,
                requests=services.requests,
                pushed=services.pushed,
                detours=services.detours,
                accounts=identity.accounts,
                step_up=identity.step_up,
                grants=services.grants,
                logouts=logouts,
            )
        ),
    )
