"""What applications may do with consent: record a person's word, read it, under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.register.model import Purpose
from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.actor import Actor
from privacy.consent.double_opt_in import DoubleOptIn
from privacy.consent.model import (
    ConsentEvent,
    PurposeNotOfApplication,
    State,
    consent_purpose,
)
from privacy.consent.service import Consents
from privacy.keys.blind_index import IdentifierKind
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.identifiers import Identifier
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Word:
    """What an application says that a person said.

    Attributes:
        pseudonym: the application's own name for the person; or else
        found_by: a kind of identifier and an address or number of it, which finds the person,
            who need not be known yet.
        action: `GIVEN`, `REFUSED` or `WITHDRAWN`.
        notice_version: of the notice that was shown; needed unless it withdraws.
        language: in which it was shown, likewise.
    """

    purpose: str
    action: ConsentAction
    channel: ConsentChannel
    pseudonym: str | None = None
    found_by: tuple[IdentifierKind, str] | None = None
    notice_version: int | None = None
    language: str | None = None
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded event, with the application's name for the person.

    Attributes:
        to_confirm: it is a request: the consent counts once the person has confirmed it by mail.
    """

    event: ConsentEvent
    pseudonym: str
    to_confirm: bool = False


class ApplicationConsents:
    """Consent as one application sees it: its purposes, its pseudonyms, nobody else's."""

    def __init__(
        self,
        consents: Consents,
        subjects: Subjects,
        pseudonyms: Pseudonyms,
        double_opt_in: DoubleOptIn,
    ) -> None:
        self._double_opt_in = double_opt_in
        self._consents = consents
        self._subjects = subjects
        self._pseudonyms = pseudonyms

    def record(self, uow: UnitOfWork, word: Word) -> Recorded:
        """Record what the person said, and commit.

        Raises:
            UnknownPurpose, NotByConsent, PurposeNotOfApplication: not this purpose.
            NotFound: nobody is known to the application by that pseudonym.
            InvalidInput: the e-mail address or the telephone number is none.
            StaleNotice, UnknownLanguage, GuardianNeeded, NothingToWithdraw: as in `Consents`.
            InvalidInput: it is confirmed by mail, and there is no address to write to.
        """
        consent_purpose(self._consents.register, word.purpose)
        if word.purpose not in uow.actor.purposes:
            raise PurposeNotOfApplication(
                "this application is not registered for the purpose", field="purpose"
            )
        subject_id, pseudonym = self._person(uow, word)
        event = self._record(uow, subject_id, word)
        uow.commit()
        return Recorded(event, pseudonym, event.action is ConsentAction.REQUESTED)

    def subject(self, session: Session, actor: Actor, pseudonym: str) -> str:
        """Return whom the application's pseudonym names.

        Raises:
            NotFound: nobody; another application's pseudonym, or another person's where a token
                was issued for one, is answered alike.
        """
        found = self._pseudonyms.resolve(session, actor.domain, pseudonym)
        if found is None or not self._is_of(session, actor, found):
            raise NotFound("this application knows nobody by that pseudonym", field="subject")
        return found

    def states(self, session: Session, actor: Actor, pseudonym: str) -> Mapping[str, State]:
        """Return the person's states for the application's consent purposes.

        An event that somebody else recorded is not named: its id, told to two applications,
        would join their pseudonyms of a person.

        Raises:
            NotFound: the application knows nobody by that pseudonym.
        """
        current = self._consents.current(session, self.subject(session, actor, pseudonym))
        return {
            purpose: self._for(session, actor, state)
            for purpose, state in current.items()
            if purpose in actor.purposes
        }

    def purposes(self, actor: Actor) -> list[Purpose]:
        """Return the application's purposes, in the register's order."""
        purposes = self._consents.register.purposes.values()
        return [purpose for purpose in purposes if purpose.id in actor.purposes]

    def event(self, session: Session, actor: Actor, event_id: str) -> Recorded:
        """Return an event that the application recorded, about one of its purposes.

        Raises:
            NotFound: there is none, or not for this application.
        """
        event = self._consents.event_by_id(session, event_id)
        if (
            event is not None
            and event.purpose in actor.purposes
            and event.recorded_by == actor.name
        ):
            pseudonym = self._pseudonyms.find(session, actor.domain, event.subject_id)
            if pseudonym is not None:
                return Recorded(event, pseudonym)
        raise NotFound("there is no such receipt")

    def _for(self, session: Session, actor: Actor, state: State) -> State:
        event = self._consents.event_by_id(session, state.event_id or "")
        is_own = event is not None and event.recorded_by == actor.name
        return state if is_own else replace(state, event_id=None)

    def _person(self, uow: UnitOfWork, word: Word) -> tuple[str, str]:
        if word.pseudonym is not None:
            return self.subject(uow.session, uow.actor, word.pseudonym), word.pseudonym
        identifier = self._identifier(word) or self._read(IdentifierKind.EMAIL, "")
        # The address itself is the application's; a blind index is enough to find the person.
        subject_id = self._subjects.by(uow, identifier, keep=False)
        if not self._is_of(uow.session, uow.actor, subject_id):
            raise NotFound("the token was issued for somebody else", field="subject")
        return subject_id, self._pseudonyms.issue(uow, uow.actor.domain, subject_id)

    def _is_of(self, session: Session, actor: Actor, subject_id: str) -> bool:
        """Tell whether a caller may speak of a person: a token for a person of that one alone."""
        if actor.subject_id is None:
            return True
        of_token = self._subjects.current(session, actor.subject_id)
        return self._subjects.current(session, subject_id) == of_token

    def _identifier(self, word: Word) -> Identifier | None:
        return self._read(*word.found_by) if word.found_by else None

    def _read(self, kind: IdentifierKind, text: str) -> Identifier:
        return self._subjects.identifiers.read(kind, text, field=f"subject.{kind.value}")

    def _record(self, uow: UnitOfWork, subject_id: str, word: Word) -> ConsentEvent:
        if word.action is ConsentAction.WITHDRAWN:
            return self._consents.record_withdrawn(
                uow,
                subject_id,
                word.purpose,
                channel=word.channel,
                notice_version=word.notice_version,
                language=word.language,
            )
        version, language = word.notice_version or 0, word.language or ""
        if word.action is ConsentAction.REFUSED:
            return self._consents.record_refused(
                uow,
                subject_id,
                word.purpose,
                notice_version=version,
                language=language,
                channel=word.channel,
            )
        if self._double_opt_in.is_needed(uow, word.purpose, subject_id):
            return self._double_opt_in.ask(
                uow,
                subject_id,
                word.purpose,
                found_by=self._identifier(word),
                notice_version=version,
                language=language,
                channel=word.channel,
                explicit=word.explicit,
            )
        return self._consents.record_given(
            uow,
            subject_id,
            word.purpose,
            notice_version=version,
            language=language,
            channel=word.channel,
            explicit=word.explicit,
        )
