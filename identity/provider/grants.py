"""What a person lets applications have: asking for it, keeping it, ending it.

A consent that is given here is an ordinary consent event, like one of the privacy centre: what
lets a claim out is that event, never the grant. The grant remembers that the person was asked.
Source: GDPR Art. 4(11), 7; OpenID Connect Core s. 3.1.2.4; OWASP ASVS 5.0 10.7.1 to 10.7.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from identity.provider import grant_store as store
from identity.provider import tokens
from identity.provider.asking import ASKED_ABOUT, OPEN, Questions
from identity.provider.authorization import AuthorizationRequest
from identity.provider.claims import attributes_asked, purposes_needing
from identity.provider.grant_model import (
    Asking,
    Grant,
    GrantEnded,
    GrantMade,
    GrantRefused,
    Offer,
    OfferKind,
    SeenPurposes,
    Use,
)
from identity.provider.model import (
    REFRESH_IDLE,
    RevocationReason,
    ordered,
)
from identity.provider.store import client_from
from policies.errors import InvalidInput, NotFound
from policies.vocabulary import ConsentChannel
from privacy.actor import Actor
from privacy.clock import rfc3339
from privacy.consent.model import (
    ConsentEvent,
    ConsentWithdrawn,
    StaleNotice,
)
from privacy.consent.service import Consents
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.subjects.model import SubjectErased, SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Grants:
    """Which applications people sign in to, and what they let them have."""

    #: What this source of personal data is called in an access file.
    name = "applications"

    def __init__(self, *, subjects: Subjects, consents: Consents, decisions: Decisions) -> None:
        self._subjects = subjects
        self._consents = consents
        self._decisions = decisions
        self._register = consents.register
        self._questions = Questions(consents)

    # ---- asking

    def asking(
        self, session: Session, asked: AuthorizationRequest, subject_id: str, now: datetime
    ) -> Asking | None:
        """Return what the person must be asked or told before a code; None: nothing.

        A purpose is asked about once, whatever the answer, and again when its consent has expired
        or its notice has changed. `prompt=consent` asks about all of them again. What rests on
        something else than consent is told once, and so is that the application stays connected.

        Args:
            session: one snapshot, or the transaction that records the answer.
            asked: the authorization request.
            subject_id: who is signed in.
            now: aware UTC.
        """
        return self._questions.of(session, asked, subject_id, now)

    def answer(
        self,
        uow: UnitOfWork,
        asked: AuthorizationRequest,
        person: Actor,
        *,
        ticked: Collection[str],
        seen: SeenPurposes,
    ) -> None:
        """Record what the person said at the page, each purpose by itself; commits.

        A ticked box is a consent and a box left open a refusal; where an answer stood already, it
        is recorded only if the person changed it.

        Args:
            uow: the unit of work.
            asked: the request, understood again.
            person: who is signed in.
            ticked: ids of purposes.
            seen: what the page showed beside each box.

        Raises:
            InvalidInput: a purpose was ticked that the page did not ask about.
            StaleNotice: by now the page would ask otherwise; nothing is recorded.
            GuardianNeeded: the person is too young; nothing is recorded.
        """
        subject_id = self._consents.hold(uow, person.subject_id or "")
        if not set(ticked) <= seen.keys():
            raise InvalidInput("the page did not ask about this purpose", field="purpose")
        about = self.asking(uow.session, asked, subject_id, uow.now)
        offers = about.of_kind(OfferKind.ASKED) if about else ()
        present = {each.purpose.id: (each.notice_version, each.stands) for each in offers}
        if present != {name: (each.version, each.ticked) for name, each in seen.items()}:
            raise StaleNotice("the page would ask otherwise by now", field="notice_version")
        said = {
            offer.purpose.id: self._say(
                uow, subject_id, offer, seen, ticked=offer.purpose.id in ticked
            )
            for offer in offers
        }
        told = [offer.purpose.id for offer in about.offers] if about else []
        row = self._row(uow, asked, subject_id)
        row.scope = ordered({*row.scope.split(), *asked.scope.split()})
        row.claims = ordered({*row.claims.split(), *asked.claims.userinfo})
        row.purposes = ordered({*row.purposes.split(), *told})
        row.asked_at = uow.now
        consents: dict[str, Json] = {
            purpose: {"event_id": event.event_id, "action": event.action.value}
            for purpose, event in said.items()
            if event is not None
        }
        uow.record(
            GrantMade(subject_id=subject_id, client_id=asked.client.client_id),
            {**_request(asked), "told": [*told], "consents": consents},
        )
        uow.commit()

    def _say(
        self, uow: UnitOfWork, subject_id: str, offer: Offer, seen: SeenPurposes, *, ticked: bool
    ) -> ConsentEvent | None:
        """Record one answer as the privacy centre does; None where nothing changed."""
        shown, web = seen[offer.purpose.id], ConsentChannel.WEB
        purpose, version, language = offer.purpose.id, shown.version, shown.language
        if ticked:
            if offer.stands:
                return None
            return self._consents.record_given(
                uow,
                subject_id,
                purpose,
                notice_version=version,
                language=language,
                channel=web,
                explicit=True,  # the box of this one purpose, beside its notice
            )
        if offer.stands:
            return self._consents.record_withdrawn(
                uow, subject_id, purpose, notice_version=version, language=language, channel=web
            )
        if offer.status not in OPEN or offer.state.objected_since is not None:
            return None  # it is a no already
        return self._consents.record_refused(
            uow, subject_id, purpose, notice_version=version, language=language, channel=web
        )

    def refuse(self, uow: UnitOfWork, asked: AuthorizationRequest, person: Actor) -> None:
        """Record that the person turned back; no consent is touched; commits."""
        uow.record(
            GrantRefused(subject_id=person.subject_id, client_id=asked.client.client_id),
            _request(asked),
        )
        uow.commit()

    # ---- keeping

    @staticmethod
    def exists(session: Session, subject_id: str, client_id: str) -> bool:
        """Tell whether the person signs in to this application already."""
        return store.grant(session, subject_id, client_id) is not None

    def keep(self, uow: UnitOfWork, asked: AuthorizationRequest, person: Actor) -> None:
        """Note that the person goes on into the application now. Joins the caller's transaction.

        Raises:
            NotFound: the person was erased meanwhile.
        """
        subject_id = self._consents.hold(uow, person.subject_id or "")
        if store.grant(uow.session, subject_id, asked.client.client_id) is None:
            uow.record(
                GrantMade(subject_id=subject_id, client_id=asked.client.client_id),
                _request(asked),
            )
        self._row(uow, asked, subject_id).last_used_at = uow.now

    @staticmethod
    def _row(uow: UnitOfWork, asked: AuthorizationRequest, subject_id: str) -> store.GrantRow:
        """Return the grant's row, new where there is none; the person is held, so it is one's own.

        Scopes that are asked about stand in it only once the person has answered.
        """
        row = store.grant(uow.session, subject_id, asked.client.client_id)
        if row is None:
            row = store.GrantRow(
                client_id=asked.client.client_id,
                subject_id=subject_id,
                scope=ordered(set(asked.scope.split()) - ASKED_ABOUT),
                claims="",
                purposes="",
                made_at=uow.now,
                last_used_at=uow.now,
            )
            uow.session.add(row)
            uow.session.flush()
        return row

    def of_person(self, session: Session, subject_id: str, now: datetime) -> list[Grant]:
        """Return the applications that a person signs in to, the one used last first.

        Args:
            session: one snapshot.
            subject_id: the person.
            now: aware UTC.
        """
        states = self._consents.current(session, subject_id)
        families = store.living_families(session, subject_id, now)
        found = []
        for row, client_row in store.grants_of(session, subject_id):
            client = client_from(client_row)
            attributes = attributes_asked(row.scope.split(), row.claims.split())
            own = [each for each in families if each.client_id == client.client_id]
            found.append(
                Grant(
                    client=client,
                    made_at=row.made_at,
                    last_used_at=max([row.last_used_at, *(each.last_used_at for each in own)]),
                    connected_until=max(
                        (min(each.expires_at, each.last_used_at + REFRESH_IDLE) for each in own),
                        default=None,
                    ),
                    uses=tuple(
                        Use(
                            purpose,
                            needs,
                            states[purpose.id],
                            self._decisions.permits(session, subject_id, purpose.id, now),
                        )
                        for purpose, needs in purposes_needing(
                            self._register, attributes, client.purposes
                        ).values()
                    ),
                )
            )
        return found

    # ---- ending

    def end(self, uow: UnitOfWork, subject_id: str, client_id: str) -> None:
        """Disconnect an application: its codes and tokens for the person end now; commits.

        What the person consented to stays as it is: that is taken back in the privacy centre.

        Raises:
            NotFound: the person does not sign in to it.
        """
        subject_id = self._consents.hold(uow, subject_id)  # as `keep` does: no code comes beside it
        row = store.grant(uow.session, subject_id, client_id)
        if row is None:
            raise NotFound("there is no such application")
        self._end_tokens(uow, subject_id, client_id, RevocationReason.GRANT_ENDED)
        uow.session.delete(row)
        uow.session.flush()
        uow.record(GrantEnded(subject_id=subject_id, client_id=client_id))
        uow.commit()

    def on_withdrawn(self, uow: UnitOfWork, event: ConsentWithdrawn) -> None:
        """End the tokens of the clients that end with this purpose; joins the withdrawal's."""
        for client_id in store.ending_with(uow.session, event.purpose):
            self._end_tokens(
                uow, event.subject_id or "", client_id, RevocationReason.CONSENT_WITHDRAWN
            )

    def _end_tokens(
        self, uow: UnitOfWork, subject_id: str, client_id: str, reason: RevocationReason
    ) -> None:
        for each in self._subjects.ids(uow.session, subject_id):
            tokens.revoke_of_client_and_subject(uow, client_id, each, reason)

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the survivor have the alias's grants; joins the merge's transaction.

        Where both signed in to an application it is one grant, and what either was asked was asked.
        """
        survivor = event.subject_id or ""
        for row, _client in store.grants_of(uow.session, event.alias_id):
            own = store.grant(uow.session, survivor, row.client_id)
            if own is None:
                row.subject_id = survivor
                continue
            for column in ("scope", "claims", "purposes"):
                both = {*getattr(own, column).split(), *getattr(row, column).split()}
                setattr(own, column, ordered(both))
            own.made_at = min(own.made_at, row.made_at)
            own.last_used_at = max(own.last_used_at, row.last_used_at)
            own.asked_at = max((m for m in (own.asked_at, row.asked_at) if m), default=None)
            uow.session.delete(row)
        uow.session.flush()

    def forget(self, uow: UnitOfWork, erased: SubjectErased) -> None:
        """Delete an erased person's grants; called in the erasure's transaction."""
        if erased.subject_id is not None:
            self.erase(uow, erased.subject_id)

    # ---- as a source of personal data

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return which applications the person signs in to. Source: GDPR Art. 15(1)."""
        applications: list[Json] = [
            {
                "application": client.name,
                "since": rfc3339(row.made_at),
                "last_used_at": rfc3339(row.last_used_at),
                "asked_at": rfc3339(row.asked_at) if row.asked_at else None,
                "scope": row.scope,
                "claims": row.claims,
            }
            for row, client in store.grants_of(session, subject_id)
        ]
        return {"applications": applications}

    @staticmethod
    def erase(uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's grants. Joins the caller's transaction."""
        store.delete_of(uow.session, subject_id)


def _request(asked: AuthorizationRequest) -> dict[str, Json]:
    """What the application asked for, as evidence."""
    return {"scope": asked.scope, "claims": [*sorted(asked.claims.userinfo)]}
