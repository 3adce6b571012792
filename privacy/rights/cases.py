"""The moves of a case that several use cases share; every one joins the caller's transaction."""

from __future__ import annotations

import dataclasses
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.deadlines import REPLY_MONTHS, Holidays, reply_deadline
from policies.errors import InvalidInput, NotFound
from policies.register.model import Register
from policies.vocabulary import ConsentChannel, Right, RightsState
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.ids import Ids, new_id
from privacy.rights import store
from privacy.rights.erasure import Eraser
from privacy.rights.files import Files
from privacy.rights.model import (
    Asked,
    Contents,
    Detail,
    InvalidRequest,
    ObjectionEffect,
    RequestClosed,
    RightsChannel,
    RightsRequest,
    RightsRequestFulfilled,
    RightsRequestReceived,
    RightsRequestRefused,
    close,
    faults_of,
    objection_effect,
)
from privacy.subjects.service import Subjects
from privacy.subjects.standing import restrict
from privacy.unit_of_work import UnitOfWork

REFERENCES_A_YEAR = 1_000_000


class Cases:
    """Opens cases, does what a right asks, closes them."""

    def __init__(
        self,
        *,
        register: Register,
        holidays: Holidays,
        subjects: Subjects,
        consents: Consents,
        eraser: Eraser,
        files: Files,
    ) -> None:
        self._register = register
        self._zone = ZoneInfo(register.controller.time_zone)
        self._holidays = holidays
        self._subjects = subjects
        self._consents = consents
        self._eraser = eraser
        self._files = files

    def check(self, asked: Asked) -> None:
        """Refuse what cannot be understood.

        Raises:
            InvalidRequest: names each member that is wrong.
        """
        if faults := faults_of(asked, self._register.purposes):
            raise InvalidRequest(faults)

    def receive(
        self,
        uow: UnitOfWork,
        asked: Asked,
        contact: str | None,
        *,
        channel: RightsChannel,
        subject_id: str | None = None,
        filed_by: str | None = None,
    ) -> tuple[RightsRequest, Contents]:
        """Make a file of what is asked; the month runs from now.

        Args:
            uow: the caller's unit of work.
            asked: checked.
            contact: where the answer goes.
            channel: by which way it came; from the form it still has to be proved.
            subject_id: the person, where already proved.
            filed_by: the application that files it.
        """
        proved = channel is not RightsChannel.FORM
        draft = RightsRequest(
            request_id=new_id(uow.ids),
            reference="",
            right=asked.right,
            state=RightsState.OPEN if proved else RightsState.UNVERIFIED,
            channel=channel,
            language=asked.language,
            received_at=uow.now,
            due=reply_deadline(
                uow.now, months=REPLY_MONTHS, zone=self._zone, holidays=self._holidays
            ),
            subject_id=subject_id,
            filed_by=filed_by,
            verified_at=uow.now if proved else None,
        )
        request, row = self._add(uow, draft)
        contents = Contents(contact=contact, message=asked.message.strip(), detail=asked.detail)
        self._files.write(uow.session, row, contents, uow.now)
        evidence: dict[str, Json] = {
            "due_nominal": request.due.nominal.isoformat(),
            "due_effective": request.due.effective.isoformat(),
            "language": asked.language,
        }
        uow.record(
            RightsRequestReceived(subject_id=subject_id, channel=channel.value, **named(request)),
            evidence | said(request, contents),
        )
        return request, contents

    def receive_from(
        self,
        uow: UnitOfWork,
        subject_id: str,
        asked: Asked,
        *,
        channel: RightsChannel,
        filed_by: str | None = None,
    ) -> tuple[RightsRequest, Contents]:
        """Make a file for a person we know; the answer goes to their first address.

        Raises:
            NotFound: the person was erased.
        """
        person = self._subjects.hold_current(uow.session, subject_id)
        if person is None:
            raise NotFound("there is no such person", field="subject")
        emails = self._subjects.emails(uow.session, person)
        contact = emails[0] if emails else None
        return self.receive(
            uow, asked, contact, channel=channel, subject_id=person, filed_by=filed_by
        )

    def object_to(self, uow: UnitOfWork, request: RightsRequest, detail: Detail) -> bool:
        """Let an objection hold where it can; tell whether nothing is left to answer.

        Source: GDPR Art. 21; LOPDGDD Art. 18, 23.
        """
        purpose = self._register.purpose(detail.purpose or "")
        if purpose is None or request.subject_id is None:
            return False
        effect = objection_effect(purpose)
        if effect is not ObjectionEffect.NONE:
            channel = ConsentChannel.API if request.filed_by else ConsentChannel.WEB
            self._consents.object_to(uow, request.subject_id, purpose.id, channel=channel)
        return effect is ObjectionEffect.FINAL

    def take_back_objection(self, uow: UnitOfWork, request: RightsRequest, detail: Detail) -> None:
        """Lift an objection that was weighed and refused; a final one stays."""
        purpose = self._register.purpose(detail.purpose or "")
        if purpose is None or request.subject_id is None:
            return
        if objection_effect(purpose) is ObjectionEffect.WEIGHED:
            self._consents.lift_objection(uow, request.subject_id, purpose.id)

    def perform(self, uow: UnitOfWork, request: RightsRequest, detail: Detail) -> None:
        """Do what is asked, where we know the person and a machine can do it."""
        if request.subject_id is None:
            return
        if request.right is Right.RECTIFICATION and detail.attribute is not None:
            try:
                self._subjects.rectify(uow, request.subject_id, detail.attribute, detail.value)
            except InvalidInput as error:
                raise InvalidRequest([("value", error.detail)]) from None
        if request.right is Right.OBJECTION:
            self.object_to(uow, request, detail)
        if request.right is Right.RESTRICTION:
            restrict(uow, request.subject_id, reason=request.reference)
        if request.right is Right.ERASURE:
            self._eraser.erase(uow, request.subject_id)

    def close(
        self, uow: UnitOfWork, request: RightsRequest, state: RightsState, contents: Contents
    ) -> RightsRequest:
        """Close an open case with its answer.

        Raises:
            RequestClosed: it was answered before, or at this very moment.
        """
        closed = close(request, state, uow.now)
        if not store.move(uow.session, request, closed):
            raise RequestClosed("this request was answered at this moment")
        self._files.write(uow.session, row_of(uow.session, request.request_id), contents, uow.now)
        answered = {
            RightsState.FULFILLED: RightsRequestFulfilled,
            RightsState.REFUSED: RightsRequestRefused,
        }[state]
        uow.record(answered(subject_id=closed.subject_id, **named(closed)), said(closed, contents))
        return closed

    def _add(self, uow: UnitOfWork, draft: RightsRequest) -> tuple[RightsRequest, store.RequestRow]:
        year = uow.now.astimezone(self._zone).year
        while True:
            request = dataclasses.replace(draft, reference=_reference(uow.ids, year))
            try:
                return request, store.add(uow.session, request)
            except IntegrityError:
                if store.row_referred(uow.session, request.reference) is None:
                    raise  # it was not the reference that is taken


def row_of(session: Session, request_id: str, *, lock: bool = False) -> store.RequestRow:
    """Return the row of a request; `lock` keeps others from answering it meanwhile.

    Raises:
        NotFound: there is none.
    """
    row = store.row_of(session, request_id, lock=lock)
    if row is None:
        raise NotFound("there is no such request")
    return row


def named(request: RightsRequest) -> dict[str, str]:
    """Return what every event of a request says of it."""
    return {
        "request_id": request.request_id,
        "reference": request.reference,
        "right": request.right.value,
    }


def said(request: RightsRequest, contents: Contents) -> dict[str, Json]:
    """Return the words as evidence: sealed under a key of the person's own, or not at all."""
    if request.subject_id is None:
        return {}
    return {
        "message": contents.message,
        "detail": contents.detail.to_json(),
        "outcome": contents.outcome,
    }


def _reference(ids: Ids, year: int) -> str:
    """Return a reference that tells neither who asks nor how many do."""
    number = int.from_bytes(ids.random_bytes(8)) % REFERENCES_A_YEAR
    return f"D-{year}-{number:06d}"
