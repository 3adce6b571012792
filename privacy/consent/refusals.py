"""What may not be recorded, and what cannot be read; each with its permanent code."""

from __future__ import annotations

from policies.errors import Conflict, Forbidden, InvalidInput


class UnknownPurpose(InvalidInput):
    """The register has no purpose of that name."""

    code = "unknown-purpose"


class NotByConsent(InvalidInput):
    """The purpose rests on another legal basis, or may not rest on consent alone."""

    code = "not-by-consent"


class UnknownLanguage(InvalidInput):
    """The notice was never published in that language, so nobody can have read it."""

    code = "unknown-language"


class StaleNotice(Conflict):
    """The notice named is not the one in force: the person saw other words."""

    code = "stale-notice"


class GuardianNeeded(Conflict):
    """The person is below the age of consent. Source: GDPR Art. 8(1); LOPDGDD Art. 7(2)."""

    code = "guardian-needed"


class DeceasedPerson(Conflict):
    """The person has died: nobody consents for them any more. Source: LOPDGDD Art. 3."""

    code = "deceased-person"


class NothingToWithdraw(Conflict):
    """There is no consent in force; nothing is recorded."""

    code = "nothing-to-withdraw"


class NotOpenToObjection(InvalidInput):
    """The purpose rests on a contract or a legal duty. Source: GDPR Art. 21(1)."""

    code = "not-open-to-objection"


class PurposeNotOfApplication(Forbidden):
    """The application was not registered for this purpose."""

    code = "purpose-not-of-application"


class StateUnreadable(Exception):
    """What is stored of a person cannot be read: whoever decides must deny."""
