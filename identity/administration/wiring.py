"""Administration put together over the rest of identity, and its pages."""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy.orm import Session

from identity.administration import pages
from identity.administration.service import Administration
from identity.assembly import Identity
from identity.mfa.factors import factors_of
from policies.assurance import Factor
from privacy.audit.log import AuditLog
from privacy.settings import Settings
from privacy.unit_of_work import Runtime


def administer(identity: Identity) -> Administration:
    """Return administration over these services."""

    def factors(session: Session, account_id: str) -> frozenset[Factor]:
        own = factors_of(session, account_id)
        if identity.identities.is_way_in(session, account_id):
            own |= {Factor.FEDERATED}
        has_password = identity.passwords.encoded(session, account_id) is not None
        return own | {Factor.PASSWORD} if has_password else own

    return Administration(
        accounts=identity.accounts,
        sessions=identity.sessions,
        notices=identity.notices,
        factors=factors,
        start_reset=identity.recovery.start_by_staff,
        start_factor_recovery=identity.lost_factor.start_by_staff,
    )


def blueprint(
    identity: Identity,
    administration: Administration,
    *,
    runtime: Runtime,
    log: AuditLog,
    settings: Settings,
) -> Blueprint:
    """Return the pages below `/admin`."""
    return pages.blueprint(
        pages.AdminPages(
            runtime=runtime,
            accounts=identity.accounts,
            administration=administration,
            sessions=identity.sessions,
            devices=identity.devices,
            risk=identity.risk,
            log=log,
            base_url=settings.base_url,
        )
    )
