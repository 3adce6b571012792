"""Signing in by outside providers put together; `app.py` calls this after `identity.assembly`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint

from identity.assembly import Identity
from identity.sso import identity_pages, logout_pages, newcomer_pages, pages
from identity.sso.arrival import Reception
from identity.sso.configuration import load as load_providers
from identity.sso.cookies import Cookies
from identity.sso.housekeeping import Housekeeping
from identity.sso.upstream import Upstreams
from privacy.kernel import Kernel
from privacy.keys.keyring import RootKey


@dataclass(frozen=True, slots=True)
class Sso:
    """The services of single sign-on from outside, wired."""

    upstreams: Upstreams
    reception: Reception
    housekeeping: Housekeeping


def configured(kernel: Kernel) -> Upstreams:
    """Return the outside providers of the configuration."""
    return Upstreams(
        load_providers(kernel.settings.providers),
        runtime=kernel.runtime,
        sealer=kernel.sealer,
        key=kernel.keyring.derive(RootKey.COOKIE, "upstreams"),
        outbound=kernel.outbound,
        base_url=kernel.base_url,
    )


def assemble(kernel: Kernel, upstreams: Upstreams, identity: Identity) -> Sso:
    """Wire the services."""
    reception = Reception(
        runtime=kernel.runtime,
        register=kernel.register,
        accounts=identity.accounts,
        subjects=kernel.subjects,
        identities=identity.identities,
        arrivals=identity.arrivals,
        sign_in=identity.sign_in,
    )
    return Sso(upstreams, reception, Housekeeping(kernel.runtime))


def blueprints(kernel: Kernel, sso: Sso, identity: Identity) -> Sequence[Blueprint]:
    """Return the pages of people who come from outside providers."""
    runtime, cookies = kernel.runtime, Cookies(https=kernel.settings.https)
    away = pages.UpstreamPages(
        runtime=runtime,
        upstreams=sso.upstreams,
        reception=sso.reception,
        attempts=identity.attempts,
        browser=identity.browser,
        cookies=cookies,
    )
    return (
        pages.blueprint(away, sso.upstreams),
        newcomer_pages.blueprint(
            newcomer_pages.NewcomerPages(
                runtime=runtime,
                register=kernel.register,
                identities=identity.identities,
                arrivals=identity.arrivals,
                registrations=identity.registrations,
                attempts=identity.attempts,
                browser=identity.browser,
                cookies=cookies,
            )
        ),
        identity_pages.blueprint(
            identity_pages.IdentityPages(
                runtime=runtime,
                accounts=identity.accounts,
                upstreams=sso.upstreams,
                identities=identity.identities,
                arrivals=identity.arrivals,
                away=away,
                cookies=cookies,
            )
        ),
        logout_pages.blueprint(
            logout_pages.LogoutPages(
                runtime, sso.upstreams, identity.attempts, identity.identities, identity.sessions
            )
        ),
    )
