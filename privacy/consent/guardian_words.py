"""What a guardian says for a child: recorded under the child, over at the birthday at the latest.

Source: GDPR Art. 8(1); LOPDGDD Art. 7(2).
"""

from __future__ import annotations

from policies.errors import NotFound
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.consent import guardian_store as store
from privacy.consent.guardian_model import Guardianship, NotAMinor
from privacy.consent.model import ConsentEvent, Voice
from privacy.consent.service import Consents
from privacy.unit_of_work import UnitOfWork

BY_GUARDIAN = Voice(said_by=SaidBy.GUARDIAN)


def held_minor(consents: Consents, uow: UnitOfWork, child_id: str) -> str:
    """Hold a child until the commit and return their id.

    Raises:
        NotFound: there is no such person.
        NotAMinor: the person consents alone.
    """
    held = consents.hold(uow, child_id)
    if not consents.is_minor(uow.session, held, uow.now):
        raise NotAMinor("this person consents alone")
    return held


def speak(
    consents: Consents,
    uow: UnitOfWork,
    guardianship: Guardianship,
    action: ConsentAction,
    purpose: str,
    *,
    notice_version: int,
    language: str,
    explicit: bool = True,
) -> ConsentEvent:
    """Record what a guardian says for the child. It ends with the birthday at the latest.

    Args:
        consents: records it.
        uow: the guardian's.
        guardianship: theirs, as `of_guardian` returned it.
        action: given, refused or withdrawn.
        purpose: the unit.
        notice_version: which the guardian was shown.
        language: in which.
        explicit: said by an express statement.

    Raises:
        NotFound: the guardianship ended meanwhile.
        NotAMinor: the child came of age.
        UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage, NothingToWithdraw: as in
            `Consents`.
    """
    child_id = held_minor(consents, uow, guardianship.child_id)
    row = store.row_of(uow.session, guardianship.guardianship_id, lock=True)
    if row is None or row.accepted_at is None or row.ended_at is not None:
        raise NotFound("there is no such guardianship")
    channel = ConsentChannel.WEB
    if action is ConsentAction.GIVEN:
        event = consents.record_given(
            uow,
            child_id,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
            explicit=explicit,
            voice=BY_GUARDIAN,
        )
    elif action is ConsentAction.REFUSED:
        event = consents.record_refused(
            uow,
            child_id,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
            voice=BY_GUARDIAN,
        )
    else:
        event = consents.record_withdrawn(
            uow,
            child_id,
            purpose,
            channel=channel,
            notice_version=notice_version,
            language=language,
            voice=BY_GUARDIAN,
        )
    store.note_word(uow.session, event.event_id, row.guardianship_id)
    return event
