"""What a person must be asked or told before an application gets a code.

Source: GDPR Art. 4(11), 12(1), 13; OpenID Connect Core s. 3.1.2.4, 11.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from identity.provider import grant_store as store
from identity.provider.authorization import AuthorizationRequest
from identity.provider.claims import attributes_asked, purposes_needing
from identity.provider.grant_model import Asking, Offer, OfferKind
from identity.provider.model import CLAIM_SCOPES, OFFLINE_ACCESS
from policies.decision import PERMIT_REASON
from policies.register.model import Purpose
from policies.vocabulary import Attribute, LegalBasis
from privacy.consent.model import State, Status, purpose_rule, status_of
from privacy.consent.service import Consents

#: A consent that stands like this is asked for; a no is asked about again only where the
#: application says `prompt=consent`. Source: AEPD cookie guide (2024) 3.2.7, 3.2.8.
OPEN: Final = frozenset({Status.NONE, Status.EXPIRED, Status.NOTICE_CHANGED})
#: Scopes that are asked about; `openid` and the JSON API's tell nothing about the person.
ASKED_ABOUT: Final = CLAIM_SCOPES | {OFFLINE_ACCESS}


class Questions:
    """Works out what is still to be asked."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents
        self._register = consents.register

    def of(
        self, session: Session, asked: AuthorizationRequest, subject_id: str, now: datetime
    ) -> Asking | None:
        """As `Grants.asking`."""
        again = "consent" in asked.prompt
        minor = self._consents.is_minor(session, subject_id, now)
        scope = frozenset(asked.scope.split())
        attributes = attributes_asked(scope, asked.claims.userinfo)
        states = self._consents.current(session, subject_id)
        needing = purposes_needing(self._register, attributes, asked.client.purposes)
        offers = [
            offer
            for purpose, needs in needing.values()
            if (offer := self._offer(purpose, needs, states[purpose.id], now, again=again))
            is not None
        ]
        if minor:  # too young to consent alone: nothing is theirs to decide here
            offers = [_without_asking(offer) for offer in offers]
        about = Asking(
            client=asked.client,
            attributes=tuple(e for e in attributes if any(e in o.attributes for o in offers)),
            offers=tuple(offers),
            offline=asked.offline,
            minor=minor,
        )
        if again or about.of_kind(OfferKind.ASKED):
            return about
        return None if self._told_before(session, asked, about, subject_id) else about

    def _offer(
        self,
        purpose: Purpose,
        needs: tuple[Attribute, ...],
        state: State,
        now: datetime,
        *,
        again: bool,
    ) -> Offer | None:
        """Return what the page does with a purpose; None where no machine ever permits it."""
        rule = purpose_rule(self._register, purpose.id)
        notice = self._register.notice_of(purpose.id)
        if rule is None or notice is None or rule.legal_basis not in PERMIT_REASON:
            return None
        status = status_of(state.consent, rule, now)
        kind = OfferKind.TOLD
        if rule.legal_basis is LegalBasis.CONSENT:
            is_open = status in OPEN and state.objected_since is None
            kind = OfferKind.ASKED if again or is_open else OfferKind.ANSWERED
        return Offer(purpose, needs, kind, state, status, notice.version)

    @staticmethod
    def _told_before(
        session: Session, asked: AuthorizationRequest, about: Asking, subject_id: str
    ) -> bool:
        """Tell whether there is nothing on the page that the person has not seen before."""
        row = store.grant(session, subject_id, asked.client.client_id)
        scopes = set(asked.scope.split()) & ASKED_ABOUT if about.offers else set()
        if about.offline:
            scopes.add(OFFLINE_ACCESS)
        if row is None or row.asked_at is None:
            return not (scopes or about.offers)
        return (
            scopes <= set(row.scope.split())
            and (not about.offers or set(asked.claims.userinfo) <= set(row.claims.split()))
            and {offer.purpose.id for offer in about.offers} <= set(row.purposes.split())
        )


def _without_asking(offer: Offer) -> Offer:
    return replace(offer, kind=OfferKind.ANSWERED) if offer.kind is OfferKind.ASKED else offer
