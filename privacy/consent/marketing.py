"""Objecting to direct marketing: to one purpose or to all, answered with the exclusion systems.

Source: GDPR Art. 21(2), 21(3); LOPDGDD Art. 23.
"""

from __future__ import annotations

from policies.register.model import Localized, Purpose
from policies.vocabulary import ConsentChannel
from privacy.consent.model import may_object
from privacy.consent.service import Consents
from privacy.consent.suppression import suppress
from privacy.consent.suppression_store import ALL_MARKETING
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

FALLBACK_LANGUAGE = "es"


class Marketing:
    """Direct marketing as a whole.

    Args:
        consents: records objections.
        subjects: knows where the person is reached.
        postbox: answers them.
        base_url: of this deployment.
    """

    def __init__(
        self, consents: Consents, subjects: Subjects, postbox: Postbox, base_url: str
    ) -> None:
        self._consents = consents
        self._subjects = subjects
        self._postbox = postbox
        self._base_url = base_url

    @property
    def purposes(self) -> list[Purpose]:
        """The direct marketing of the register, in its order."""
        purposes = self._consents.register.purposes.values()
        return [each for each in purposes if each.direct_marketing and may_object(each)]

    def object_to_all(
        self, uow: UnitOfWork, subject_id: str, language: str, *, channel: ConsentChannel
    ) -> bool:
        """Object to all direct marketing, of today and to come, and answer; joins the transaction.

        Every address of the person is suppressed for whatever the register comes to declare as
        direct marketing; what the person consents to expressly after it prevails.

        Returns:
            Whether the person is told by mail.

        Raises:
            NotFound: there is no such person.
        """
        person = self._consents.hold(uow, subject_id)
        for purpose in self.purposes:
            self._consents.object_to(uow, person, purpose.id, channel=channel)
        suppress(uow, person, ALL_MARKETING)
        return self.answer(uow, person, None, language)

    def answer(
        self, uow: UnitOfWork, subject_id: str, purpose: Purpose | None, language: str
    ) -> bool:
        """Confirm an objection by mail, and tell of the exclusion systems; joins the transaction.

        Args:
            uow: the caller's unit of work.
            subject_id: the person.
            purpose: what they object to; None: all marketing.
            language: of the mail.

        Returns:
            Whether there is a proved address to write to; the pages tell of the systems anyway.

        Source: LOPDGDD Art. 23.3.
        """
        to = self._subjects.proved_email(uow.session, subject_id)
        if to is None:
            return False
        self._postbox.send(
            uow,
            to=to,
            letter="marketing-objection",
            locale=language,
            values={
                "action_url": f"{self._base_url}/privacy",
                "purpose": _in(purpose.title, language) if purpose else None,
            },
        )
        return True


def _in(texts: Localized, language: str) -> str:
    return texts.get(language) or texts[FALLBACK_LANGUAGE]
