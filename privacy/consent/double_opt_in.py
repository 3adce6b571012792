"""Double opt-in: whoever typed an address consents for its owner only once the owner says so.

The first step is a request and a letter with a link; the state does not move. The button on the
link's page is the consent. Source: GDPR Art. 4(11), 7(1): that it was this person must be provable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from policies.errors import DomainError, InvalidInput, NotFound
from policies.register.model import Purpose
from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.consent import double_opt_in_store as store
from privacy.consent import store as consent_store
from privacy.consent.model import (
    IN_FORCE,
    ConsentEvent,
    Shown,
    consent_purpose,
    purpose_rule,
    shown_once,
)
from privacy.consent.service import Consents
from privacy.ids import new_token, secret_digest
from privacy.keys.blind_index import IdentifierKind
from privacy.mail import Postbox
from privacy.subjects.identifiers import Identifier
from privacy.subjects.model import SubjectErased, SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

LIFETIME: Final = timedelta(days=7)
MAX_WAITING: Final = 3
"""So many letters about one unit go to a person in `LIFETIME`: a form must not flood a mailbox."""
_REMEMBERED: Final = timedelta(days=30)
LETTER: Final = "consent-confirm"
#: After these the person has not said no: the clock ends a consent without their word.
_NO_WORD: Final = IN_FORCE | {ConsentAction.EXPIRED}


class ConfirmationNotValid(DomainError):
    """The link was used, has expired, was overtaken by another word, or never was."""

    code = "link-not-valid"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link confirms.

    Attributes:
        request: the event that it follows.
        shown: the words that the consent is given to.
    """

    request: ConsentEvent
    purpose: Purpose
    shown: Shown
    explicit: bool
    identifier_id: str


class DoubleOptIn:
    """The consents of this deployment that wait to be confirmed.

    Args:
        consents: records what is said.
        subjects: whose address it is.
        postbox: takes the letters.
        base_url: of this deployment.
    """

    def __init__(
        self, consents: Consents, subjects: Subjects, postbox: Postbox, base_url: str
    ) -> None:
        self._consents = consents
        self._subjects = subjects
        self._postbox = postbox
        self._base_url = base_url

    def is_needed(
        self, uow: UnitOfWork, purpose: str, subject_id: str, found_by: Identifier | None
    ) -> bool:
        """Tell whether a consent counts only once it is confirmed.

        It does where the person is signed in at the application, or has proved the address that
        found them; under a pseudonym, any address.
        """
        if not consent_purpose(self._consents.register, purpose).double_opt_in:
            return False
        person = self._subjects.current(uow.session, subject_id)
        signed_in = uow.actor.subject_id
        if signed_in and self._subjects.current(uow.session, signed_in) == person:
            return False
        return not self._subjects.identifiers.is_proved(uow.session, person, found_by)

    def ask(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        found_by: Identifier | None,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
        explicit: bool,
    ) -> ConsentEvent:
        """Record the request and write to the address; joins the caller's transaction.

        Where as many letters as may be are under way, nothing is written and the last request is
        the answer.

        Raises:
            InvalidInput: no e-mail address is named and none is kept; `field` is "subject.email".
            NotFound, UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage, GuardianNeeded:
                as in `Consents.record_given`.
        """
        person = self._subjects.hold_current(uow.session, subject_id)
        if person is None:
            raise NotFound("there is no such person")
        to = self._address(uow, person, found_by)
        identifier_id = self._subjects.identifiers.id_of(uow.session, to)
        if identifier_id is None:
            raise NotFound("this address finds nobody", field="subject.email")
        under_way = store.waiting(uow.session, person, purpose, uow.now)
        last = consent_store.event_by_id(uow.session, under_way[-1]) if under_way else None
        if last is not None and len(under_way) >= MAX_WAITING:
            return last
        event = self._consents.record_requested(
            uow,
            person,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
        )
        token = new_token(uow.ids)
        store.delete_before(uow.session, uow.now - _REMEMBERED)
        uow.session.add(
            store.ConfirmationRow(
                token_digest=secret_digest(token),
                event_id=event.event_id,
                subject_id=person,
                purpose=purpose,
                identifier_id=identifier_id,
                explicit=explicit,
                asked_at=uow.now,
                expires_at=uow.now + LIFETIME,
            )
        )
        unit = self._consents.register.purposes[purpose]
        self._postbox.send(
            uow,
            to=to.value,
            letter=LETTER,
            locale=language,
            values={
                "purpose": unit.title.get(language) or unit.title["es"],
                "summary": unit.summary.get(language) or unit.summary["es"],
                "controller": self._consents.register.controller.name,
                "days": LIFETIME.days,
                "action_url": f"{self._base_url}/privacy/confirm/{token}",
            },
        )
        return event

    def behind_link(self, session: Session, token: str, now: datetime) -> Asked:
        """Return what a link confirms, while it can be used; changes nothing.

        Raises:
            ConfirmationNotValid: it was used, has expired, was overtaken or never was.
        """
        row = store.with_token(session, secret_digest(token))
        if row is None or row.confirmed_at is not None or row.expires_at <= now:
            raise ConfirmationNotValid("the link was used, has expired or never was")
        request = consent_store.event_by_id(session, row.event_id)
        if request is None:
            raise ConfirmationNotValid("what it confirmed is gone")
        purpose = self._still_asked(session, row.subject_id, request)
        words = shown_once(
            self._consents.register, purpose, request.notice_version, request.language
        )
        return Asked(request, purpose, words, row.explicit, row.identifier_id)

    def confirm(self, uow: UnitOfWork, token: str) -> ConsentEvent:
        """Record the consent, and that the address is the person's; works once, and commits.

        Raises:
            ConfirmationNotValid: as in `behind_link`, or it was used at this moment.
            GuardianNeeded: the person is too young to consent alone; the link stays unused.
        """
        asked = self.behind_link(uow.session, token, uow.now)
        person = self._subjects.hold_current(uow.session, asked.request.subject_id)
        if person is None:
            raise ConfirmationNotValid("the person is gone")
        if not store.spend(uow.session, secret_digest(token), uow.now):
            raise ConfirmationNotValid("the link was used at this moment")
        store.close_others(uow.session, person, asked.purpose.id, uow.now)
        if not self._subjects.identifiers.verify_by_id(uow, person, asked.identifier_id):
            raise ConfirmationNotValid("the address is this person's no more")
        event = self._consents.record_given(
            uow,
            person,
            asked.purpose.id,
            notice_version=asked.request.notice_version,
            language=asked.request.language,
            channel=ConsentChannel.WEB,
            explicit=asked.explicit,
            confirms=asked.request.event_id,
        )
        uow.commit()
        return event

    @staticmethod
    def forget(uow: UnitOfWork, event: SubjectErased) -> None:
        """Delete an erased person's links; joins the transaction of the erasure."""
        if event.subject_id is not None:
            store.delete_of(uow.session, event.subject_id)

    @staticmethod
    def on_subjects_merged(uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the links be the survivor's; joins the merge's transaction."""
        if event.subject_id is not None:
            store.move(uow.session, source=event.alias_id, target=event.subject_id)

    def _address(self, uow: UnitOfWork, person: str, found_by: Identifier | None) -> Identifier:
        """Return where the letter goes: to the address named, or else to one that is kept."""
        if found_by is not None and found_by.kind is IdentifierKind.EMAIL:
            return found_by
        kept = self._subjects.identifiers.of(uow.session, person)
        if not kept:
            message = "this consent is confirmed by mail: name the address"
            raise InvalidInput(message, field="subject.email")
        return kept[0].identifier

    def _still_asked(self, session: Session, subject_id: str, request: ConsentEvent) -> Purpose:
        """Return the purpose, unless the person has said otherwise since or its words changed.

        Raises:
            ConfirmationNotValid: one of the two.
        """
        register = self._consents.register
        rule = purpose_rule(register, request.purpose)
        purpose = register.purpose(request.purpose)
        if purpose is None or rule is None or request.notice_version < rule.last_material_version:
            raise ConfirmationNotValid("the words have changed since")
        person = self._subjects.current(session, subject_id)
        state = self._consents.current(session, person)[request.purpose]
        said = state.consent
        if said and said.action not in _NO_WORD and said.at > request.at:
            raise ConfirmationNotValid("the person has said otherwise since")
        if state.objected_since and state.objected_since > request.at:
            raise ConfirmationNotValid("the person has objected since")
        return purpose
