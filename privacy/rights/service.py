"""Asking for a right, proving who asks, answering."""

from __future__ import annotations

import dataclasses
import hmac
from datetime import datetime

from sqlalchemy.orm import Session

from policies.errors import InvalidInput, NotFound, TooManyAttempts
from policies.register.model import Register
from policies.vocabulary import Right, RightsState
from privacy.events import Json
from privacy.ids import new_code, new_token, secret_digest
from privacy.keys.blind_index import normalise_email
from privacy.network import network_of
from privacy.rights import limits, store
from privacy.rights.access import compose
from privacy.rights.cases import Cases, named, row_of, said
from privacy.rights.erasure import Eraser
from privacy.rights.files import Files
from privacy.rights.letters import Letters
from privacy.rights.limits import Limits
from privacy.rights.model import (
    CODE_LIFETIME,
    GRANT_LIFETIME,
    MAX_CODE_ATTEMPTS,
    PROOF_LIFETIME,
    AccessLinkSent,
    Asked,
    Contents,
    DataDownloaded,
    Detail,
    InvalidRequest,
    ProofInvalid,
    RequestClosed,
    RightsChannel,
    RightsRequest,
    RightsRequestExpired,
    RightsRequestVerified,
    close,
    expire,
    faults_of,
    is_text,
    prove,
)
from privacy.rights.sources import Sources
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

EXPIRE_BATCH = 100
YIELDS_DATA = (RightsState.OPEN, RightsState.FULFILLED)


class Rights:
    """The rights requests of this deployment. Every method that takes a unit of work commits."""

    def __init__(
        self,
        *,
        register: Register,
        subjects: Subjects,
        sources: Sources,
        eraser: Eraser,
        cases: Cases,
        files: Files,
        letters: Letters,
        limits: Limits,
    ) -> None:
        self._register = register
        self._subjects = subjects
        self._sources = sources
        self._eraser = eraser
        self._cases = cases
        self._files = files
        self._letters = letters
        self._limits = limits

    # ---- asking

    def ask_by_form(self, uow: UnitOfWork, asked: Asked, email: str, network: str | None) -> str:
        """Take a request from somebody who still has to prove the address, and write to it.

        What happens is the same whether or not we know the address.

        Args:
            uow: the caller's unit of work.
            asked: what is asked.
            email: where the answer is to go.
            network: the caller's network address, or None.

        Returns:
            The request's id, to which the mailed code is bound.

        Raises:
            InvalidRequest: names each member that is wrong; nothing was changed.
            TooManyAttempts: from this network or to this address.

        Source: GDPR Art. 12(2), 12(6): no more proof of identity than needed.
        """
        faults = faults_of(asked, self._register.purposes)
        contact = ""
        try:
            contact = normalise_email(email)
        except InvalidInput as error:
            faults.insert(0, ("email", error.detail))
        if faults:
            raise InvalidRequest(faults)
        self._take(uow, limits.PER_NETWORK, network_of(network))
        self._take(uow, limits.PER_ADDRESS, contact)
        request, _contents = self._cases.receive(uow, asked, contact, channel=RightsChannel.FORM)
        token, code = new_token(uow.ids), new_code(uow.ids)
        row = row_of(uow.session, request.request_id)
        row.token_digest = secret_digest(token)
        row.code_digest = _code_digest(row.request_id, code)
        row.proof_expires_at = uow.now + PROOF_LIFETIME
        self._letters.verify(uow, request, contact, token=token, code=code)
        uow.commit()
        return request.request_id

    def ask_in_portal(self, uow: UnitOfWork, subject_id: str, asked: Asked) -> RightsRequest:
        """Take a signed-in person's request, and do at once what needs nobody to weigh it.

        Access, rectification, erasure, and objection to consent and marketing are fulfilled at
        once; an objection that must be weighed already holds; the rest waits for staff.

        Raises:
            InvalidRequest: names each member that is wrong; nothing was changed.
            NotFound: the person was erased.
            TooManyAttempts: more requests in this hour than anybody needs.
        """
        self._cases.check(asked)
        self._take(uow, limits.PER_PERSON, subject_id)
        if asked.right is Right.ERASURE:
            store.lock_subject(uow.session, subject_id)
        request, contents = self._cases.receive_from(
            uow, subject_id, asked, channel=RightsChannel.PORTAL
        )
        if asked.right is Right.OBJECTION:
            done = self._cases.object_to(uow, request, asked.detail)
        else:
            done = asked.right in (Right.ACCESS, Right.RECTIFICATION, Right.ERASURE)
            self._cases.perform(uow, request, asked.detail)
        if done:
            request = self._cases.close(uow, request, RightsState.FULFILLED, contents)
        if asked.right is Right.ERASURE:
            self._letters.erased(uow, request, contents.contact)
        else:
            self._letters.received(uow, request, contents.contact, asked.detail.purpose)
        uow.commit()
        return request

    def erase_at_end_of_grace(
        self, uow: UnitOfWork, subject_id: str, language: str
    ) -> RightsRequest:
        """Erase a person who closed the account and did not come back; commits.

        It is kept as an erasure request that was fulfilled, so that it can be shown later.

        Raises:
            NotFound: the person was erased before.

        Source: GDPR Art. 17(1), 5(2).
        """
        store.lock_subject(uow.session, subject_id)
        request, contents = self._cases.receive_from(
            uow, subject_id, Asked(Right.ERASURE, language), channel=RightsChannel.PORTAL
        )
        self._cases.perform(uow, request, contents.detail)
        request = self._cases.close(uow, request, RightsState.FULFILLED, contents)
        self._letters.erased(uow, request, contents.contact)
        uow.commit()
        return request

    def ask_by_application(
        self, uow: UnitOfWork, subject_id: str, asked: Asked, client_id: str
    ) -> RightsRequest:
        """Take a request that an application files for its person; staff answer it.

        Raises:
            InvalidRequest: names each member that is wrong; nothing was changed.
            NotFound: the person was erased.
        """
        self._cases.check(asked)
        request, contents = self._cases.receive_from(
            uow, subject_id, asked, channel=RightsChannel.STAFF, filed_by=client_id
        )
        if asked.right is Right.OBJECTION and self._cases.object_to(uow, request, asked.detail):
            request = self._cases.close(uow, request, RightsState.FULFILLED, contents)
        self._letters.received(uow, request, contents.contact, asked.detail.purpose)
        uow.commit()
        return request

    # ---- proving

    @staticmethod
    def behind_link(session: Session, token: str, now: datetime) -> RightsRequest:
        """Return the request whose link this is, while it can be used; changes nothing.

        Raises:
            ProofInvalid: it was used, has expired or never was.
        """
        row = store.row_with_token(session, secret_digest(token))
        if row is None or row.proof_expires_at is None or row.proof_expires_at <= now:
            raise ProofInvalid("the link was used, has expired or never was")
        return store.from_row(row)

    def prove_by_link(self, uow: UnitOfWork, token: str) -> RightsRequest:
        """Take the mailed link's button as proof of the address; works once.

        Raises:
            ProofInvalid: it was used, has expired or never was.
        """
        found = self.behind_link(uow.session, token, uow.now)
        request = self._prove(uow, row_of(uow.session, found.request_id))
        uow.commit()
        return request

    def prove_by_code(self, uow: UnitOfWork, request_id: str, code: str) -> RightsRequest:
        """Take the mailed code as proof of the address; works once.

        Every code typed counts, and is counted for good before the answer is known.

        Raises:
            TooManyAttempts: five were typed; the link still works.
            ProofInvalid: the request waits for no code, or the code's time has passed.
            InvalidInput: it is another code; `field` is "code".
        """
        row = store.row_of(uow.session, request_id)
        if row is None or row.code_digest is None or row.proof_expires_at is None:
            raise ProofInvalid("this request waits for no code")
        sent_at = row.proof_expires_at - PROOF_LIFETIME
        if uow.now >= sent_at + CODE_LIFETIME:
            raise ProofInvalid("the code's time has passed; the link still works")
        if not self._limits.take_code(uow.session, request_id, sent_at, MAX_CODE_ATTEMPTS):
            left = sent_at + CODE_LIFETIME - uow.now
            raise TooManyAttempts(
                "no more codes are looked at; use the link",
                retry_after_seconds=int(left.total_seconds()) + 1,
            )
        typed = "".join(code.split()).replace("-", "")
        if not hmac.compare_digest(_code_digest(request_id, typed), row.code_digest):
            uow.commit()  # the attempt counts whatever comes after
            raise InvalidInput("this is not the code that was sent", field="code")
        request = self._prove(uow, row)
        uow.commit()
        return request

    def expire_unproved(self, uow: UnitOfWork) -> int:
        """Forget what was written in requests that nobody proved; return how many there were."""
        rows = store.unproved_before(uow.session, uow.now, EXPIRE_BATCH)
        for row in rows:
            before = store.from_row(row)
            if store.move(uow.session, before, expire(before, uow.now)):
                self._files.forget(row)
                uow.record(RightsRequestExpired(**named(before)))
        store.forget_attempts(uow.session, uow.now - limits.KEPT)
        uow.commit()
        return len(rows)

    # ---- answering

    def answer(
        self,
        uow: UnitOfWork,
        request_id: str,
        state: RightsState,
        text: str,
        detail: Detail | None = None,
    ) -> RightsRequest:
        """Answer an open request in words, do what it asks where granted, and write to the person.

        Args:
            uow: of the member of staff.
            request_id: which one.
            state: FULFILLED or REFUSED.
            text: what the person reads: what was done, or the reasons for the refusal.
            detail: what is corrected or objected to, where staff put it right; None keeps it.

        Raises:
            NotFound: there is no such request.
            RequestClosed: it was answered before.
            InvalidRequest: no text, or a correction without its datum.

        Source: GDPR Art. 12(3), 12(4); LOPDGDD Art. 12.4.
        """
        store.hold_person_of(uow.session, request_id)
        row = row_of(uow.session, request_id, lock=True)
        request, contents = store.from_row(row), self._files.read(uow.session, row)
        contents = dataclasses.replace(
            contents, detail=detail or contents.detail, outcome=text.strip()
        )
        self._check_answer(request, state, contents)
        if state is RightsState.FULFILLED:
            self._cases.perform(uow, request, contents.detail)
        elif request.right is Right.OBJECTION:
            self._cases.take_back_objection(uow, request, contents.detail)
        request = self._cases.close(uow, request, state, contents)
        erased = request.right is Right.ERASURE and state is RightsState.FULFILLED
        if erased and request.subject_id:
            self._letters.erased(uow, request, contents.contact, text=text.strip())
        else:
            self._letters.answered(uow, request, contents.contact, text=text.strip())
        uow.commit()
        return request

    def send_access_link(self, uow: UnitOfWork, request_id: str) -> None:
        """Mail the person of an access request a fresh link to their data.

        Raises:
            NotFound: there is no such request, or it yields no data.
            RequestClosed: it was refused, has expired or still has to be proved.
        """
        row = row_of(uow.session, request_id, lock=True)
        request, contents = store.from_row(row), self._files.read(uow.session, row)
        if request.right is not Right.ACCESS or not request.subject_id or not contents.contact:
            raise NotFound("this request yields no data to send")
        if request.state not in YIELDS_DATA:
            raise RequestClosed("this request yields nothing now")
        token = new_token(uow.ids)
        row.token_digest, row.code_digest = secret_digest(token), None
        row.proof_expires_at = uow.now + PROOF_LIFETIME
        uow.record(AccessLinkSent(subject_id=request.subject_id, **named(request)))
        self._letters.access_link(
            uow, request, contents.contact, token=token, until=row.proof_expires_at
        )
        uow.commit()

    def take_data(
        self, uow: UnitOfWork, request_id: str, language: str, form: str
    ) -> dict[str, Json]:
        """Return the person's data for their access request; taking it fulfils an open one.

        The caller has made sure that who asks may read this request.

        Args:
            uow: the caller's unit of work.
            request_id: which one.
            language: of the register's texts.
            form: "json" or "html", for the record.

        Raises:
            NotFound: it yields no data: another right, refused, nobody known, erased since.

        Source: GDPR Art. 15; LOPDGDD Art. 13.
        """
        row = row_of(uow.session, request_id, lock=True)
        request = store.from_row(row)
        if (
            request.right is not Right.ACCESS
            or request.state not in YIELDS_DATA
            or request.subject_id is None
            or not self._eraser.is_here(uow.session, request.subject_id)
        ):
            raise NotFound("this request yields no data")
        data = compose(
            register=self._register,
            reference=request.reference,
            data=self._sources.collect(uow.session, request.subject_id),
            language=language,
            at=uow.now,
        )
        uow.record(DataDownloaded(subject_id=request.subject_id, form=form, **named(request)))
        if request.state is RightsState.OPEN:
            contents = self._files.read(uow.session, row)
            self._cases.close(uow, request, RightsState.FULFILLED, contents)
        uow.commit()
        return data

    # ---- reading

    @staticmethod
    def referred(session: Session, reference: str) -> RightsRequest:
        """Return the request of this reference.

        Raises:
            NotFound: there is none.
        """
        row = store.row_referred(session, reference)
        if row is None:
            raise NotFound("there is no such request")
        return store.from_row(row)

    @staticmethod
    def of_subject(session: Session, subject_id: str) -> list[RightsRequest]:
        """Return a person's requests, newest first."""
        return [store.from_row(row) for row in store.rows_of_subject(session, subject_id)]

    def opened(self, session: Session, request_id: str) -> tuple[RightsRequest, Contents]:
        """Return a request with its contents.

        Raises:
            NotFound: there is none.
        """
        row = row_of(session, request_id)
        return store.from_row(row), self._files.read(session, row)

    # ---- inside

    def _take(self, uow: UnitOfWork, limit: limits.Limit, who: str) -> None:
        try:
            self._limits.take(uow.session, limit, who, uow.now)
        except TooManyAttempts:
            uow.commit()  # what was counted counts
            raise

    def _check_answer(self, request: RightsRequest, state: RightsState, contents: Contents) -> None:
        close(request, state, request.received_at)  # refuses what is not open
        text = contents.outcome or ""
        faults = [] if text and is_text(text) else [("text", "say what was done, or why not")]
        if state is RightsState.FULFILLED and request.subject_id:
            asked = Asked(request.right, request.language, "-", contents.detail)
            faults += faults_of(asked, self._register.purposes)
        if faults:
            raise InvalidRequest(faults)

    def _prove(self, uow: UnitOfWork, row: store.RequestRow) -> RightsRequest:
        before, contents = store.from_row(row), self._files.read(uow.session, row)
        if not store.spend_proof(uow.session, row.request_id, uow.now):
            raise ProofInvalid("the link was used, has expired or never was")
        if before.state is RightsState.UNVERIFIED:
            known = self._subjects.find_by_email(uow.session, contents.contact or "")
            known = known and self._subjects.hold_current(uow.session, known)
            request = prove(before, known, uow.now)
        else:  # the link that staff sent to the data
            request = dataclasses.replace(before, grant_until=uow.now + GRANT_LIFETIME)
        if not store.move(uow.session, before, request):
            raise ProofInvalid("the request was closed at this moment")
        self._files.write(uow.session, row, contents, uow.now)  # now under the person's own key
        uow.record(
            RightsRequestVerified(subject_id=request.subject_id, **named(request)),
            said(request, contents),
        )
        if before.state is not RightsState.UNVERIFIED:
            return request
        detail = contents.detail
        if request.right is Right.OBJECTION and self._cases.object_to(uow, request, detail):
            request = self._cases.close(uow, request, RightsState.FULFILLED, contents)
        self._letters.received(uow, request, contents.contact, detail.purpose)
        return request


def _code_digest(request_id: str, code: str) -> str:
    return secret_digest(f"{request_id}:{code}")
