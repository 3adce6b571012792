"""An application asks a person, who was never asked or whose answer ended, and nobody is nagged.

The limits, held in one transaction that holds the person: what `policies.asking` says of the denial;
one open ask about a purpose; three asks in 30 days by all applications together; none after "do not
ask me again", until the person consents of their own accord.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy.orm import Session

from policies.asking import ASK_OPEN, ASKS_WINDOW, MAX_ASKS
from policies.errors import InvalidInput, NotFound, TooManyAttempts
from policies.vocabulary import ConsentChannel, DecisionReason
from privacy.clock import rfc3339
from privacy.consent.model import (
    PurposeNotOfApplication,
    StateUnreadable,
    UnknownPurpose,
)
from privacy.consent.service import Consents
from privacy.decisions import access_request_store as store
from privacy.decisions.access_request_model import (
    KEPT,
    AccessAnswered,
    AccessRequest,
    AccessRequested,
    AlreadyAsked,
    AskState,
    NotRequestable,
)
from privacy.decisions.model import Question
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.ids import new_id, new_token, secret_digest
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.model import SubjectsMerged
from privacy.unit_of_work import UnitOfWork

#: The words that are recorded as asked for; the register has every notice in it.
_LANGUAGE: Final = "es"
#: The same whatever the reason: that somebody is a child, or wants never to be asked again, is not
#: told to an application.
_NOT_ASKED: Final = "it is no denial, or none that asking this person may change now"


class Asking(Protocol):
    """An application as the person needs to know it."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...


class Applications(Protocol):
    """The applications of this deployment; `identity.provider` knows them."""

    def named(self, session: Session, client_id: str) -> Asking | None:
        """Return an application in use, or None."""
        ...

    def may_return_to(self, session: Session, client_id: str, uri: str) -> bool:
        """Tell whether an address is of the application's registered origins."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """A new ask with the secret of its link, which is nowhere else."""

    request: AccessRequest
    token: str


class AccessRequests:
    """Asks for a consent, from the application to the person."""

    #: What this source of personal data is called in an access file.
    name = "access_requests"

    def __init__(
        self,
        *,
        consents: Consents,
        decisions: Decisions,
        pseudonyms: Pseudonyms,
        applications: Applications,
    ) -> None:
        self._consents = consents
        self._decisions = decisions
        self._pseudonyms = pseudonyms
        self._applications = applications

    # ---- the application's side

    def make(self, uow: UnitOfWork, question: Question, return_to: str | None) -> Made:
        """Ask the person whom a question is about for the consent that it was denied for lack of.

        Commits.

        Args:
            uow: the application's.
            question: as it was evaluated.
            return_to: where the person goes on afterwards; of the application's own origins.

        Raises:
            Forbidden, InvalidInput, UnknownPurpose, PurposeNotOfApplication, NotFound: the question
                leads to no purpose of the application, or to nobody it knows.
            NotRequestable: it is permitted, or denied for what asking may not change.
            AlreadyAsked: an earlier ask about the same is open.
            TooManyAttempts: the person was asked three times in 30 days.
        """
        actor, session = uow.actor, uow.session
        unit = self._unit(uow, question)
        subject_id = self._pseudonyms.resolve(session, actor.domain, question.resource_id)
        if subject_id is None:
            raise NotFound("this application knows nobody by that pseudonym", field="resource.id")
        client_id = actor.client_id or ""
        if return_to and not self._applications.may_return_to(session, client_id, return_to):
            raise InvalidInput("not of the application's registered origins", field="return_to")
        subject_id = self._consents.hold(uow, subject_id)
        evidence_id = self._evidence_of_denial(uow, subject_id, question, unit)
        self._hold_limits(uow, subject_id, unit)
        request = AccessRequest(
            request_id=new_id(uow.ids),
            subject_id=subject_id,
            unit=unit,
            client_id=client_id,
            return_to=return_to,
            evidence_id=evidence_id,
            asked_at=uow.now,
            expires_at=uow.now + ASK_OPEN,
        )
        token = new_token(uow.ids)
        store.add(session, request, secret_digest(token))
        uow.record(
            AccessRequested(
                subject_id=subject_id,
                request_id=request.request_id,
                client_id=client_id,
                purpose=unit,
            ),
            {"evidence_id": evidence_id},
        )
        self._consents.ask(uow, subject_id, unit, language=_LANGUAGE, channel=ConsentChannel.API)
        uow.commit()
        return Made(request, token)

    # ---- the person's side

    def of_person(self, session: Session, subject_id: str, token: str) -> AccessRequest:
        """Return the ask behind a link, or of this id: it is no secret to whom it is put to.

        Raises:
            NotFound: there is none, or it is to somebody else.
        """
        request = store.with_token(session, secret_digest(token)) or store.with_id(session, token)
        if request is None or request.subject_id != subject_id:
            raise NotFound("there is no such question to this person")
        return request

    def open_to(
        self, session: Session, subject_id: str, now: datetime
    ) -> list[tuple[AccessRequest, str]]:
        """Return what a person can answer now, with the name of who asks, oldest first."""
        found = [
            (each, self.asking(session, each))
            for each in store.of_subject(session, subject_id)
            if each.state(now) is AskState.OPEN
        ]
        return [(request, name) for request, name in found if name is not None]

    def asking(self, session: Session, request: AccessRequest) -> str | None:
        """Return the name of who asks; None where the application is no longer in use."""
        return self.name_of(session, request.client_id)

    def name_of(self, session: Session, client_id: str) -> str | None:
        """Return an application's name; None where it is no longer in use."""
        application = self._applications.named(session, client_id)
        return application.name if application else None

    def way_back(self, session: Session, request: AccessRequest) -> str | None:
        """Return where the person goes on; None: nowhere, or the application gave that address up."""
        back = request.return_to
        if back and self._applications.may_return_to(session, request.client_id, back):
            return back
        return None

    def answer(
        self,
        uow: UnitOfWork,
        subject_id: str,
        token: str,
        *,
        given: bool,
        never: bool = False,
        notice_version: int,
        language: str,
    ) -> AccessRequest:
        """Record the person's answer as the consent event that it is, once; commits.

        Args:
            uow: the person's.
            subject_id: who is signed in.
            token: of the link.
            given: yes.
            never: no, and they want not to be asked about it again.
            notice_version: of the words that they saw.
            language: of those.

        Raises:
            NotFound: the ask is not this person's, was answered, or has expired.
            StaleNotice, GuardianNeeded, NotByConsent: nothing is recorded.
        """
        request = self.of_person(uow.session, subject_id, token)
        self._consents.hold(uow, subject_id)
        if given and self.asking(uow.session, request) is None:
            raise NotFound("the application is no longer in use")
        never = never and not given
        if not store.close(uow.session, request.request_id, uow.now, given=given, never=never):
            raise NotFound("the question was answered or has expired")
        if given:
            event = self._consents.record_given(
                uow,
                subject_id,
                request.unit,
                notice_version=notice_version,
                language=language,
                channel=ConsentChannel.WEB,
                explicit=True,  # the button of this one purpose, below its notice
            )
        else:
            event = self._consents.record_refused(
                uow,
                subject_id,
                request.unit,
                notice_version=notice_version,
                language=language,
                channel=ConsentChannel.WEB,
            )
        uow.record(
            AccessAnswered(
                subject_id=subject_id,
                request_id=request.request_id,
                client_id=request.client_id,
                purpose=request.unit,
            ),
            {"event_id": event.event_id, "never": never},
        )
        uow.commit()
        return self.of_person(uow.session, subject_id, token)

    @staticmethod
    def on_subjects_merged(uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the survivor answer what the alias was asked; joins the merge's transaction."""
        store.move(uow.session, event.alias_id, event.subject_id or "")

    # ---- as a source of personal data

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return what this capability holds of the person. Source: GDPR Art. 15(1)."""
        asks: list[Json] = [
            {
                "application": self.asking(session, each) or each.client_id,
                "purpose": each.unit,
                "asked_at": rfc3339(each.asked_at),
                "expires_at": rfc3339(each.expires_at),
                "answered_at": rfc3339(each.answered_at) if each.answered_at else None,
                "given": each.given,
                "never_again": each.never,
            }
            for each in store.of_subject(session, subject_id)
        ]
        return {"access_requests": asks}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's asks. Joins the caller's transaction."""
        store.delete_of(uow.session, subject_id)

    @staticmethod
    def forget_old(uow: UnitOfWork) -> int:
        """Delete what ran out long ago and return how much; commits."""
        count = store.delete_expired(uow.session, uow.now - KEPT)
        uow.commit()
        return count

    # ---- inside

    def _unit(self, uow: UnitOfWork, question: Question) -> str:
        unit = self._decisions.unit_of(uow.actor, question)
        if not isinstance(unit, DecisionReason):
            return unit
        if unit is DecisionReason.UNKNOWN_PURPOSE:
            raise UnknownPurpose("the register has no such purpose", field="action.name")
        if unit is DecisionReason.PURPOSE_NOT_OF_APPLICATION:
            raise PurposeNotOfApplication("not a purpose of this application", field="action.name")
        if unit is DecisionReason.OPTION_NEEDED:
            raise InvalidInput("name the channel or partner", field="action.properties")
        raise InvalidInput("an application asks about a person", field="resource.type")

    def _evidence_of_denial(
        self, uow: UnitOfWork, subject_id: str, question: Question, unit: str
    ) -> str:
        if self._consents.is_minor(uow.session, subject_id, uow.now):
            raise NotRequestable(_NOT_ASKED)
        try:
            sighting = self._consents.sighting(uow.session, subject_id, unit, at=uow.now)
        except StateUnreadable:
            raise NotRequestable(_NOT_ASKED) from None
        answer = self._decisions.conclude(uow.actor, question, unit, sighting, uow.now)
        if not answer.may_ask:
            raise NotRequestable(_NOT_ASKED)
        return answer.evidence_id

    @staticmethod
    def _hold_limits(uow: UnitOfWork, subject_id: str, unit: str) -> None:
        asked: Sequence[AccessRequest] = store.of_subject(uow.session, subject_id)
        same = [each for each in asked if each.unit == unit]
        if any(each.state(uow.now) is AskState.OPEN for each in same):
            raise AlreadyAsked("the person may still answer an earlier question about this")
        refusals = [each.answered_at for each in same if each.never and each.answered_at]
        if refusals and not store.said_yes_since(uow.session, subject_id, unit, max(refusals)):
            raise NotRequestable(_NOT_ASKED)
        recent = [each.asked_at for each in asked if each.asked_at > uow.now - ASKS_WINDOW]
        if len(recent) >= MAX_ASKS:
            wait = recent[-MAX_ASKS] + ASKS_WINDOW - uow.now
            raise TooManyAttempts(
                "the person has been asked often enough for now",
                retry_after_seconds=_seconds(wait.total_seconds()),
            )


def _seconds(wait: float) -> int:
    return max(1, -(-int(wait * 1000) // 1000))
