"""The letters by which a consent is confirmed: to which address, how many, and what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from policies.errors import InvalidInput
from policies.register.model import Register
from privacy.consent.letter_limit import count_letter
from privacy.keys.blind_index import IdentifierKind
from privacy.mail import Postbox
from privacy.subjects.identifiers import Identifier
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

LIFETIME: Final = timedelta(days=7)
"""For how long a link confirms."""
MAX_LETTERS: Final = 3
"""So many letters go to one address without a pause of `LETTERS_WITHIN`, about all units together:
whoever types somebody else's address into forms must not flood a mailbox, and whoever lost a letter
gets another.
"""
LETTERS_WITHIN: Final = timedelta(days=1)
LETTER: Final = "consent-confirm"


class ConfirmationLetters:
    """The letters of this deployment.

    Args:
        register: says what a unit is called.
        subjects: whose address it is.
        postbox: takes the letters.
        base_url: of this deployment.
    """

    def __init__(
        self, register: Register, subjects: Subjects, postbox: Postbox, base_url: str
    ) -> None:
        self._register = register
        self._identifiers = subjects.identifiers
        self._postbox = postbox
        self._base_url = base_url

    def address(self, uow: UnitOfWork, person: str, found_by: Identifier | None) -> Identifier:
        """Return where the letter goes: to the address named, or else to one that is kept.

        Whoever names a telephone number is not told whether an address is kept beside it.

        Raises:
            InvalidInput: there is no address to write to; `field` is "subject.email".
        """
        if found_by is not None and found_by.kind is IdentifierKind.EMAIL:
            return found_by
        kept = [] if found_by else self._identifiers.of(uow.session, person)
        if not kept:
            message = "this consent is confirmed by mail: name the address"
            raise InvalidInput(message, field="subject.email")
        return next((each for each in kept if each.verified_at), kept[0]).identifier

    def kept(self, session: Session, person: str, identifier_id: str) -> Identifier | None:
        """Return one of a person's addresses; None where only its keyed hash is kept."""
        for each in self._identifiers.of(session, person):
            if self._identifiers.id_of(session, each.identifier) == identifier_id:
                return each.identifier
        return None

    def may_be_written(self, uow: UnitOfWork, to: Identifier) -> bool:
        """Whether the address gets one more letter, which is counted."""
        return count_letter(
            uow.session,
            LETTER,
            self._identifiers.index(to),
            at_most=MAX_LETTERS,
            within=LETTERS_WITHIN,
            now=uow.now,
        )

    def write(
        self, uow: UnitOfWork, to: Identifier, purpose: str, language: str, token: str
    ) -> None:
        """Queue the letter with a link's token; joins the caller's transaction."""
        unit = self._register.purposes[purpose]
        self._postbox.send(
            uow,
            to=to.value,
            letter=LETTER,
            locale=language,
            values={
                "purpose": unit.title.get(language) or unit.title["es"],
                "summary": unit.summary.get(language) or unit.summary["es"],
                "controller": self._register.controller.name,
                "days": LIFETIME.days,
                "action_url": f"{self._base_url}/privacy/confirm/{token}",
            },
        )
