"""The person's own profile: what we hold, which purposes want it, and what may be added."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.register.loader import ASKABLE
from policies.register.model import Purpose, Register
from policies.vocabulary import Attribute, LegalBasis
from privacy.collection.model import ProfileField, Wanting, is_contract, purposes_wanting
from privacy.collection.service import Applications
from privacy.decisions.service import Decisions
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Profiles:
    """What people told us of themselves, for themselves."""

    def __init__(
        self,
        register: Register,
        *,
        subjects: Subjects,
        decisions: Decisions,
        applications: Applications,
    ) -> None:
        self._register = register
        self._subjects = subjects
        self._decisions = decisions
        self._applications = applications

    def fields(self, session: Session, subject_id: str, now: datetime) -> list[ProfileField]:
        """Return every attribute that we hold, and those that the person may add.

        One may be added only where a purpose needs it that the person consented to, or a contract
        purpose of an application that they signed in to. Source: GDPR Art. 5(1)(c), 25(2).
        A birthdate that made a minor of the person may be corrected after it was removed.
        """
        profile = self._subjects.profile(session, subject_id)
        in_use = self._applications.purposes_signed_in_to(session, subject_id)
        permitted = {
            purpose.id: self._decisions.permits(session, subject_id, purpose.id, now)
            for purpose in self._register.purposes.values()
            if purpose.attributes
        }
        found = []
        for attribute in ASKABLE:
            wanting = purposes_wanting(self._register, attribute)
            offered = any(permitted[each.id] and _asked(each, in_use) for each in wanting)
            if attribute is Attribute.BIRTHDATE:
                offered = offered or self.minor_until(session, subject_id) is not None
            if attribute in profile or offered:
                found.append(
                    ProfileField(
                        attribute,
                        profile.get(attribute),
                        tuple(
                            Wanting(
                                each,
                                permitted[each.id] and _asked(each, in_use),
                                is_contract(each),
                            )
                            for each in wanting
                        ),
                    )
                )
        return found

    def minor_until(self, session: Session, subject_id: str) -> datetime | None:
        """Return the day of age that we keep even without the birthdate; None: none is kept."""
        return self._subjects.minor_until(session, subject_id)

    def save(
        self, uow: UnitOfWork, subject_id: str, attribute: Attribute, value: str | None
    ) -> None:
        """Keep, change or (with None) remove an attribute; commits. Source: GDPR Art. 16, 17.

        Raises:
            NotFound: it is neither held nor offered.
            InvalidInput: the value cannot be kept; the field is named.
        """
        known = {each.attribute for each in self.fields(uow.session, subject_id, uow.now)}
        if attribute not in known:
            raise NotFound("no purpose of this person's needs it", field="attribute")
        self._subjects.rectify(uow, subject_id, attribute, value)
        uow.commit()


def _asked(purpose: Purpose, in_use: frozenset[str]) -> bool:
    """Whether the person lets a permitted purpose ask: by consent, or by using its application."""
    return purpose.legal_basis is LegalBasis.CONSENT or purpose.id in in_use
