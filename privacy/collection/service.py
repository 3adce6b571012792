"""An application asks a person for attributes, and is told what the purposes allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from policies.errors import InvalidInput, NotFound
from policies.register.model import CollectionPoint, Purpose, Register
from policies.vocabulary import Attribute
from privacy.actor import Actor
from privacy.clock import rfc3339
from privacy.collection import store
from privacy.collection.model import (
    KEPT,
    MOST_OPEN,
    QUIET,
    REQUEST_LIFETIME,
    Application,
    AskedEnough,
    AttributeRequest,
    FieldAnswer,
    NothingToAsk,
    NotOpen,
    RequestAnswered,
    RequestMade,
    fields_to_ask,
    purposes_wanting,
)
from privacy.consent.model import is_id
from privacy.consent.service import Consents
from privacy.decisions.model import APPLICATION, PERSON, Question
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.model import SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Applications(Protocol):
    """The applications of this deployment; `identity.provider` knows them."""

    def named(self, session: Session, client_id: str) -> Application | None:
        """Return an application in use, or None."""
        ...

    def may_return_to(self, session: Session, client_id: str, uri: str) -> bool:
        """Tell whether an address is of the application's registered origins."""
        ...

    def purposes_signed_in_to(self, session: Session, subject_id: str) -> frozenset[str]:
        """Return the purposes of the applications that the person has signed in to."""
        ...


class AttributeRequests:
    """Requests for attributes, from the application to the person and back."""

    #: What this source of personal data is called in an access file.
    name = "attribute_requests"

    def __init__(
        self,
        register: Register,
        *,
        subjects: Subjects,
        consents: Consents,
        decisions: Decisions,
        pseudonyms: Pseudonyms,
        applications: Applications,
    ) -> None:
        self._register = register
        self._subjects = subjects
        self._consents = consents
        self._decisions = decisions
        self._pseudonyms = pseudonyms
        self._applications = applications

    # ---- the application's side

    def make(
        self, uow: UnitOfWork, *, pseudonym: str, collection_point: str, return_to: str
    ) -> AttributeRequest:
        """Ask a person for the attributes of a form that may be asked for now; commits.

        That is: those that one of the application's purposes needs, which may use the person's
        data at this instant, and that the person has not refused the application lately.

        Raises:
            NotFound: nobody is known to the application by that pseudonym.
            InvalidInput: there is no such form, or the address is not the application's.
            NothingToAsk: no field is left.
            AskedEnough: three requests wait already.
        """
        actor, session = uow.actor, uow.session
        client_id = actor.client_id or ""
        subject_id = self._pseudonyms.resolve(session, actor.domain, pseudonym)
        if subject_id is None:
            raise NotFound("this application knows nobody by that pseudonym", field="subject")
        point = self._register.collection_points.get(collection_point)
        if point is None:
            raise InvalidInput("the register has no such form", field="collection_point")
        if not self._applications.may_return_to(session, client_id, return_to):
            raise InvalidInput("not of the application's registered origins", field="return_to")
        subject_id = self._consents.hold(uow, subject_id)
        refused = store.refused_since(session, subject_id, client_id, uow.now - QUIET)
        permitted = self._permitted(session, subject_id, point, actor.purposes, uow.now)
        fields = fields_to_ask(self._register, point, permitted, refused)
        if not fields:
            raise NothingToAsk("no field of the form may be asked for now")
        if store.count_open(session, subject_id, client_id, uow.now) >= MOST_OPEN:
            raise AskedEnough(f"{MOST_OPEN} requests to this person wait already")
        request = AttributeRequest(
            request_id=new_id(uow.ids),
            subject_id=subject_id,
            client_id=client_id,
            collection_point=collection_point,
            return_to=return_to,
            fields=fields,
            created_at=uow.now,
            expires_at=uow.now + REQUEST_LIFETIME,
        )
        store.add(session, request)
        uow.record(
            RequestMade(subject_id=subject_id, request_id=request.request_id, client_id=client_id),
            {
                "collection_point": collection_point,
                "attributes": [field.attribute.value for field in fields],
            },
        )
        uow.commit()
        return request

    @staticmethod
    def of_application(session: Session, actor: Actor, request_id: str) -> AttributeRequest:
        """Return a request that the application made.

        Raises:
            NotFound: there is none, or it is another application's.
        """
        request = store.find(session, request_id) if is_id(request_id) else None
        if request is None or request.client_id != actor.client_id:
            raise NotFound("there is no such request")
        return request

    def values(
        self, session: Session, actor: Actor, request: AttributeRequest, now: datetime
    ) -> Mapping[Attribute, str]:
        """Return what the person gave, as far as a purpose of the application may use it now.

        Each purpose is asked about as `/access/v1/evaluation` would, and counted as a use that
        the person sees.

        Args:
            session: a snapshot opened after the question arrived.
            actor: the application.
            request: its own.
            now: aware UTC.
        """
        pseudonym = self._pseudonyms.find(session, actor.domain, request.subject_id)
        given = [f.attribute for f in request.fields if f.answer is FieldAnswer.GIVEN]
        if pseudonym is None or not given:
            return {}
        profile = self._subjects.profile(session, request.subject_id)
        decided: dict[str, bool] = {}

        def permits(purpose: str) -> bool:
            if purpose not in decided:
                question = Question(APPLICATION, actor.client_id or "", purpose, PERSON, pseudonym)
                answer = self._decisions.evaluate(session, actor, question, now)
                decided[purpose] = answer.decision.permit
            return decided[purpose]

        return {
            attribute: profile[attribute]
            for attribute in given
            if attribute in profile
            and any(permits(p.id) for p in self._wanting(request, attribute, actor.purposes))
        }

    # ---- the person's side

    def of_person(self, session: Session, subject_id: str, request_id: str) -> AttributeRequest:
        """Return a request to this person.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        request = store.find(session, request_id) if is_id(request_id) else None
        if request is None or request.subject_id != subject_id:
            raise NotFound("there is no such request")
        return request

    def waiting(self, session: Session, subject_id: str, now: datetime) -> list[AttributeRequest]:
        """Return the requests that the person may answer, oldest first."""
        found = store.of_subject(session, subject_id)
        return [each for each in found if each.answered_at is None and now < each.expires_at]

    def asking(self, session: Session, request: AttributeRequest) -> Application | None:
        """Return who asks; None where the application is no longer in use."""
        return self._applications.named(session, request.client_id)

    def wanted_by(
        self, request: AttributeRequest, attribute: Attribute, application: Application
    ) -> list[Purpose]:
        """Return the purposes of the application for which it asks for an attribute."""
        return self._wanting(request, attribute, application.purposes)

    def answer(
        self,
        uow: UnitOfWork,
        subject_id: str,
        request_id: str,
        values: Mapping[Attribute, str],
    ) -> AttributeRequest:
        """Keep what the person gives, once; what is not given is refused; commits.

        Args:
            uow: the unit of work.
            subject_id: who is signed in.
            request_id: of the request.
            values: the given attributes.

        Raises:
            NotFound: the request is not this person's.
            NotOpen: it was answered, has expired, or nobody is behind it any more.
            InvalidInput: a value cannot be kept, or a required one is missing; names it.
        """
        request = self.of_person(uow.session, subject_id, request_id)
        for field in request.fields:
            if field.required and field.attribute not in values:
                raise InvalidInput("give it, or refuse them all", field=field.attribute.value)
        return self._close(uow, request, values)

    def refuse(self, uow: UnitOfWork, subject_id: str, request_id: str) -> AttributeRequest:
        """Give nothing, once; commits. It never needs a reason.

        Whatever else the same application has asked for alone these fields is refused with it.

        Raises:
            NotFound: the request is not this person's.
            NotOpen: it was answered, or has expired.
        """
        return self._close(uow, self.of_person(uow.session, subject_id, request_id), {})

    def _close(
        self, uow: UnitOfWork, request: AttributeRequest, values: Mapping[Attribute, str]
    ) -> AttributeRequest:
        subject_id, request_id = request.subject_id, request.request_id
        self._consents.hold(uow, subject_id)
        asked = [field.attribute for field in request.fields]
        given = {name: value for name, value in values.items() if name in asked}
        if given and self.asking(uow.session, request) is None:
            raise NotOpen("the application is no longer in use")
        if not store.close(uow.session, request_id, given, uow.now):
            raise NotOpen("the request was answered or has expired")
        for attribute, value in given.items():
            self._subjects.rectify(uow, subject_id, attribute, value)
        refused = [name for name in asked if name not in given]
        self._record_answer(uow, request, given, refused)
        for other in self.waiting(uow.session, subject_id, uow.now):
            also = [field.attribute for field in other.fields]
            if other.client_id == request.client_id and set(also) <= set(refused):
                store.close(uow.session, other.request_id, (), uow.now)
                self._record_answer(uow, other, (), also)
        uow.commit()
        return self.of_person(uow.session, subject_id, request_id)

    @staticmethod
    def _record_answer(
        uow: UnitOfWork,
        request: AttributeRequest,
        given: Iterable[Attribute],
        refused: Iterable[Attribute],
    ) -> None:
        uow.record(
            RequestAnswered(
                subject_id=request.subject_id,
                request_id=request.request_id,
                client_id=request.client_id,
            ),
            {
                "given": [name.value for name in given],
                "refused": [name.value for name in refused],
            },
        )

    @staticmethod
    def on_subjects_merged(uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the survivor answer what the alias was asked; joins the merge's transaction."""
        store.move(uow.session, event.alias_id, event.subject_id or "")

    # ---- as a source of personal data

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return who asked the person for what. Source: GDPR Art. 15(1)."""
        requests: list[Json] = [
            {
                "application": self._name(session, request),
                "collection_point": request.collection_point,
                "created_at": rfc3339(request.created_at),
                "fields": [
                    {
                        "attribute": field.attribute.value,
                        "answer": field.answer.value if field.answer else None,
                    }
                    for field in request.fields
                ],
            }
            for request in store.of_subject(session, subject_id)
        ]
        return {"attribute_requests": requests}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's requests. Joins the caller's transaction."""
        store.delete_of(uow.session, subject_id)

    @staticmethod
    def forget_old(uow: UnitOfWork) -> int:
        """Delete what ran out long ago and return how much; commits."""
        count = store.delete_expired(uow.session, uow.now - KEPT)
        uow.commit()
        return count

    # ---- inside

    def _permitted(
        self,
        session: Session,
        subject_id: str,
        point: CollectionPoint,
        purposes: frozenset[str],
        now: datetime,
    ) -> list[str]:
        return [
            each
            for each in point.purposes
            if each in purposes and self._decisions.permits(session, subject_id, each, now)
        ]

    def _wanting(
        self, request: AttributeRequest, attribute: Attribute, purposes: frozenset[str]
    ) -> list[Purpose]:
        point = self._register.collection_points.get(request.collection_point)
        among = purposes & frozenset(point.purposes) if point else frozenset[str]()
        return purposes_wanting(self._register, attribute, among)

    def _name(self, session: Session, request: AttributeRequest) -> str:
        application = self.asking(session, request)
        return application.name if application else request.client_id
