"""Parents and guardians: invited, proved, consenting for a child until the birthday.

Source: GDPR Art. 8(1), 8(2); LOPDGDD Art. 7(2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from policies.errors import Conflict, Forbidden, InvalidInput, NotFound
from policies.vocabulary import Attribute, RetentionClass, SaidBy
from privacy.consent import guardian_store as store
from privacy.consent import store as consent_store
from privacy.consent.attachment_model import Upload
from privacy.consent.attachments import Attachments
from privacy.consent.guardian_model import (
    INVITATION_LIFETIME,
    INVITED_WITHIN,
    MAX_INVITATIONS,
    MAX_OPEN_INVITATIONS,
    MAX_TO_ADDRESS,
    GuardianAccepted,
    GuardianInvited,
    Guardianship,
    GuardianshipEnd,
    InvitationNotValid,
    Relation,
    TooManyInvitations,
    TooManyOpen,
)
from privacy.consent.guardian_source import close
from privacy.consent.guardian_store import to_guardianship
from privacy.consent.guardian_words import held_minor
from privacy.consent.letter_limit import count_letter
from privacy.consent.model import ConsentEvent
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.ids import new_id, new_token, secret_digest
from privacy.keys.blind_index import IdentifierKind
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

BATCH = 100
LETTER = "guardian-invited"
CLASS = RetentionClass.CONSENT_EVIDENCE

#: Ends consents that count no more: (the transaction, (person, unit) pairs, why).
Revoke = Callable[[UnitOfWork, Sequence[tuple[str, str]], str], object]


class Guardians:
    """The guardianships of this deployment.

    Args:
        consents: records what guardians say.
        subjects: who is who, and of what age.
        attachments: keeps the proof that the desk saw.
        postbox: writes to guardians, and to who has come of age.
        sealer: keeps the invited address.
        revoke: ends the consents of somebody who was no guardian.
        base_url: of this deployment.
    """

    def __init__(
        self,
        *,
        consents: Consents,
        subjects: Subjects,
        attachments: Attachments,
        postbox: Postbox,
        sealer: Sealer,
        revoke: Revoke,
        base_url: str,
    ) -> None:
        self._consents = consents
        self._subjects = subjects
        self._attachments = attachments
        self._postbox = postbox
        self._sealer = sealer
        self._revoke = revoke
        self._base_url = base_url

    # ---- becoming one

    def invite(self, uow: UnitOfWork, child_id: str, address: str, language: str) -> Guardianship:
        """Ask somebody by mail to be the child's guardian here; joins the caller's transaction.

        Raises:
            NotFound: there is no such person.
            NotAMinor: the person consents alone.
            InvalidInput: it is no address, or the child's own; `field` is "email".
            TooManyOpen: as many invitations of the child as may be are open.
            TooManyInvitations: as many as may be were sent within a day, of the child or, whoever
                invited, to the address; `field` is "email".
        """
        child_id = self._minor(uow, child_id)
        identifiers = self._subjects.identifiers
        invited = identifiers.read(IdentifierKind.EMAIL, address, field="email")
        if identifiers.find(uow.session, invited) == child_id:
            raise InvalidInput("this is the person's own address", field="email")
        rows = store.of_child(uow.session, child_id)
        if sum(_is_open(row, uow.now) for row in rows) >= MAX_OPEN_INVITATIONS:
            raise TooManyOpen("earlier invitations are still open", field="email")
        since = uow.now - INVITED_WITHIN
        if (
            sum(row.attachment is None and row.invited_at > since for row in rows)
            >= MAX_INVITATIONS
        ):
            raise TooManyInvitations("as many were invited today as may be", field="email")
        index = identifiers.index(invited)
        if not count_letter(
            uow.session,
            LETTER,
            index,
            at_most=MAX_TO_ADDRESS,
            within=INVITED_WITHIN,
            now=uow.now,
        ):
            raise TooManyInvitations("as many went to this address as may be", field="email")
        token = new_token(uow.ids)
        row = self._add(uow, child_id, language)
        row.token_digest = secret_digest(token)
        where = place("guardianship", "contact", row.guardianship_id)
        row.contact_sealed = self._sealer.seal(
            uow.session, child_id, CLASS, where, invited.value.encode(), at=uow.now
        )
        row.entry_id = uow.record(
            GuardianInvited(subject_id=child_id, guardianship_id=row.guardianship_id),
            {"email": invited.value, "invited_by": uow.actor.name},
        )
        self._postbox.send(
            uow,
            to=invited.value,
            letter=LETTER,
            locale=language,
            values={
                "action_url": f"{self._base_url}/privacy/guardian/{token}",
                "child": self.child_name(uow.session, child_id),
                "days": INVITATION_LIFETIME.days,
            },
        )
        return to_guardianship(row)

    @staticmethod
    def behind_link(session: Session, token: str, now: datetime) -> Guardianship:
        """Return the invitation whose link this is, while it can be used; changes nothing.

        Raises:
            InvitationNotValid: it was used, has expired, was taken back or never was.
        """
        row = store.row_with_token(session, secret_digest(token))
        if row is None or not _is_open(row, now):
            raise InvitationNotValid("the invitation was used, has expired or never was")
        return to_guardianship(row)

    def accept(
        self, uow: UnitOfWork, token: str, guardian_id: str, relation: Relation
    ) -> Guardianship:
        """Accept an invitation as the signed-in person; works once. Joins the caller's transaction.

        Their proof is an account with a proved address, reached from the mailed link, and their
        word on what they are to the child. Source: GDPR Art. 8(2): reasonable efforts.

        Raises:
            InvitationNotValid: it was used, has expired, was taken back or never was.
            NotAMinor: the child came of age.
            Forbidden: it is the child itself, another minor, or nobody with a proved address.
        """
        found = self.behind_link(uow.session, token, uow.now)
        child_id = self._minor(uow, found.child_id)
        guardian_id = self._subjects.current(uow.session, guardian_id)
        self._may_guard(uow, child_id, guardian_id)
        if not store.spend_token(uow.session, secret_digest(token), guardian_id, uow.now):
            raise InvitationNotValid("the invitation was used at this moment")
        row = self._row(uow.session, found.guardianship_id, lock=True)
        self._in_force(uow, row, relation, {"proof": "account", "guardian_id": guardian_id})
        return to_guardianship(row)

    def accept_at_desk(
        self,
        uow: UnitOfWork,
        child_id: str,
        relation: Relation,
        *,
        who: str,
        upload: Upload,
        language: str,
        email: str | None = None,
    ) -> Guardianship:
        """Note a guardian who proved it to staff; joins the caller's transaction.

        Args:
            uow: of the member of staff.
            child_id: the child.
            relation: what they are to the child.
            who: their name, for the evidence.
            upload: the proof.
            language: of mails about it.
            email: of their account here, so that they can consent by themselves; None: at the
                desk only.

        Raises:
            NotFound: there is no such person; nobody has that address.
            NotAMinor: the person consents alone.
            InvalidInput: the proof is no file that is taken, no name is given, no such address.
            Forbidden: it is the child itself, another minor, or nobody with a proved address.
        """
        child_id = self._minor(uow, child_id)
        if not who.strip():
            raise InvalidInput("who it is", field="who")
        guardian_id = None
        if email:
            guardian_id = self._subjects.find_by_email(uow.session, email)
            if guardian_id is None:
                raise InvalidInput("nobody here has this address", field="email")
            self._may_guard(uow, child_id, guardian_id)
        proof: dict[str, Json] = {"guardian": who.strip(), "relation": relation.value}
        attachment = self._attachments.add(
            uow, child_id, upload, about=proof, said_by=SaidBy.GUARDIAN
        )
        row = self._add(uow, child_id, language)
        row.guardian_id, row.accepted_at = guardian_id, uow.now
        row.attachment = attachment.digest
        self._in_force(
            uow, row, relation, {**proof, "proof": "desk", "attachment": attachment.digest}
        )
        return to_guardianship(row)

    @staticmethod
    def note_desk_word(uow: UnitOfWork, event: ConsentEvent) -> None:
        """Let what a guardian said at the desk end with any guardianship in force by now.

        Staff write down who spoke and not on which of them it rests: where the desk ends one of
        two, it is asked anew. Joins the caller's transaction.
        """
        for row in store.of_child(uow.session, event.subject_id):
            if to_guardianship(row).in_force:
                store.note_word(uow.session, event.event_id, row.guardianship_id)

    # ---- ending

    def end(
        self, uow: UnitOfWork, guardianship_id: str, how: GuardianshipEnd, reason: str = ""
    ) -> Guardianship:
        """End a guardianship or take an invitation back; joins the caller's transaction.

        Ended by the desk, whoever it was should not have consented: those consents end with it.

        Raises:
            NotFound: there is none of that id.
            Conflict: it ended before.
        """
        self._consents.hold(uow, self._row(uow.session, guardianship_id).child_id)  # as in `speak`
        row = self._row(uow.session, guardianship_id, lock=True)
        if row.ended_at is not None:
            raise Conflict("this guardianship ended before")
        was_in_force = row.accepted_at is not None
        close(uow, row, how if was_in_force else GuardianshipEnd.TAKEN_BACK, reason)
        if was_in_force and how is GuardianshipEnd.DESK:
            said = store.words_of(uow.session, guardianship_id)
            states = consent_store.states_of(uow.session, row.child_id)
            ended = [(row.child_id, unit) for unit, s in states.items() if s.event_id in said]
            if ended:
                self._revoke(uow, ended, reason)
        return to_guardianship(row)

    def note_birthdays(self, uow: UnitOfWork) -> int:
        """Note the guardianships that a birthday has ended, and the invitations that have expired.

        Of those the address that was invited is deleted. Commits and returns how many. The clock has ended them before: no decision waits for this. Whoever came of age, lives and
        is not blocked is asked by mail to decide anew. A use case of the worker's.
        """
        rows = store.ended_by_clock(uow.session, uow.now, BATCH)
        told: set[str] = set()
        for row in rows:
            was_in_force = row.accepted_at is not None
            is_expired = not was_in_force and row.invitation_ends_at <= uow.now
            close(uow, row, GuardianshipEnd.EXPIRED if is_expired else GuardianshipEnd.BIRTHDAY, "")
            child = self._subjects.standing(uow.session, row.child_id)
            if not was_in_force or child is None or child.deceased or child.blocked:
                continue
            to = self._subjects.proved_email(uow.session, row.child_id)
            if to and row.child_id not in told:
                told.add(row.child_id)
                self._postbox.send(
                    uow,
                    to=to,
                    letter="come-of-age",
                    locale=row.language,
                    values={"action_url": f"{self._base_url}/privacy"},
                )
        uow.commit()
        return len(rows)

    # ---- reading

    @staticmethod
    def of_child(session: Session, child_id: str) -> list[Guardianship]:
        """Return a child's guardianships and invitations, oldest first."""
        return [to_guardianship(row) for row in store.of_child(session, child_id)]

    def children_of(
        self, session: Session, guardian_id: str, now: datetime
    ) -> list[tuple[Guardianship, str]]:
        """Return whom somebody may consent for now, each with the child's name.

        Nobody, where they are known by now to be a minor themselves, or have died.
        """
        standing = self._subjects.standing(session, guardian_id)
        is_gone = standing is None or standing.deceased
        if is_gone or self._consents.is_minor(session, guardian_id, now):
            return []
        rows = [to_guardianship(row) for row in store.of_guardian(session, guardian_id)]
        return [
            (each, self.child_name(session, each.child_id))
            for each in rows
            if each.in_force and self._consents.is_minor(session, each.child_id, now)
        ]

    def of_guardian(
        self, session: Session, guardian_id: str, guardianship_id: str, now: datetime
    ) -> tuple[Guardianship, str]:
        """Return one of somebody's children.

        Raises:
            NotFound: it is nobody's of theirs, or no longer.
        """
        for each, name in self.children_of(session, guardian_id, now):
            if each.guardianship_id == guardianship_id:
                return each, name
        raise NotFound("there is no such child")

    def has_guardian(self, session: Session, subject_id: str, at: datetime) -> bool:
        """Tell whether somebody else may consent for the person at an instant."""
        is_minor = self._consents.is_minor(session, subject_id, at)
        return is_minor and store.is_guarded(session, subject_id, at)

    def until(self, session: Session, child_id: str) -> datetime | None:
        """Return when a child comes of age; aware UTC."""
        return self._subjects.minor_until(session, child_id)

    def child_name(self, session: Session, child_id: str) -> str:
        """Return what the guardian knows the child by: the given name, else the address."""
        name = self._subjects.profile(session, child_id).get(Attribute.GIVEN_NAME)
        emails = self._subjects.emails(session, child_id)
        return name or (emails[0] if emails else "")

    def contact(self, session: Session, guardianship_id: str) -> str | None:
        """Return the address that was invited; None where there is none, or it was erased."""
        row = self._row(session, guardianship_id)
        if row.contact_sealed is None:
            return None
        where = place("guardianship", "contact", guardianship_id)
        try:
            return self._sealer.open(
                session, row.child_id, CLASS, where, row.contact_sealed
            ).decode()
        except KeyDestroyed:
            return None

    # ---- inside

    def _minor(self, uow: UnitOfWork, child_id: str) -> str:
        return held_minor(self._consents, uow, child_id)

    def _may_guard(self, uow: UnitOfWork, child_id: str, guardian_id: str) -> None:
        known = self._subjects.identifiers.of(uow.session, guardian_id)
        if (
            guardian_id == child_id
            or self._consents.is_minor(uow.session, guardian_id, uow.now)
            or not any(each.verified_at for each in known)
        ):
            raise Forbidden("an adult with an account and a proved address of their own")
        for row in store.of_child(uow.session, child_id):
            if row.guardian_id == guardian_id and to_guardianship(row).in_force:
                raise Conflict("they are the guardian already")

    def _add(self, uow: UnitOfWork, child_id: str, language: str) -> store.GuardianshipRow:
        row = store.GuardianshipRow(
            guardianship_id=new_id(uow.ids),
            child_id=child_id,
            language=language,
            invited_at=uow.now,
            invited_by=uow.actor.name,
            invitation_ends_at=uow.now + INVITATION_LIFETIME,
        )
        uow.session.add(row)
        uow.session.flush()
        return row

    @staticmethod
    def _in_force(
        uow: UnitOfWork, row: store.GuardianshipRow, relation: Relation, proof: dict[str, Json]
    ) -> None:
        row.relation = relation.value
        row.entry_id = uow.record(
            GuardianAccepted(subject_id=row.child_id, guardianship_id=row.guardianship_id),
            {**proof, "relation": relation.value},
        )
        uow.session.flush()

    @staticmethod
    def _row(
        session: Session, guardianship_id: str, *, lock: bool = False
    ) -> store.GuardianshipRow:
        row = store.row_of(session, guardianship_id, lock=lock)
        if row is None:
            raise NotFound("there is no such guardianship")
        return row


def _is_open(row: store.GuardianshipRow, now: datetime) -> bool:
    return row.accepted_at is None and row.ended_at is None and now < row.invitation_ends_at
