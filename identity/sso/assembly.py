"""Signing in by outside providers put together; `app.py` calls this after `identity.assembly`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint

from identity.assembly import Identity
from identity.sso import identity_pages, logout_pages, newcomer_pages, pages
from identity.sso.arrival import Reception
from identity.sso.cookies import Cookies
from identity.sso.housekeeping import Housekeeping
from identity.sso.upstream import Upstreams
from policies.register.model import Register
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime


@dataclass(frozen=True, slots=True)
class Sso:
    """The services of single sign-on from outside, wired."""

    upstreams: Upstreams
    reception: Reception
    housekeeping: Housekeeping


def assemble(
    upstreams: Upstreams,
    identity: Identity,
    *,
    runtime: Runtime,
    register: Register,
    subjects: Subjects,
) -> Sso:
    """Wire the services."""
    reception = Reception(
        runtime=runtime,
        register=register,
        accounts=identity.accounts,
        subjects=subjects,
        identities=identity.identities,
        arrivals=identity.arrivals,
        sign_in=identity.sign_in,
    )
    return Sso(upstreams, reception, Housekeeping(runtime))


def blueprints(
    sso: Sso, identity: Identity, *, runtime: Runtime, register: Register, https: bool
) -> Sequence[Blueprint]:
    """Return the pages of people who come from outside providers.

    Args:
        sso: the services.
        identity: those below.
        runtime: the doors to the database.
        register: says which attributes some purpose needs.
        https: whether cookies may be `__Host-` ones.
    """
    cookies = Cookies(https=https)
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
                register=register,
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
