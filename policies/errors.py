"""The one internal error type. It knows no HTTP: `privacy/http.py` is the only bridge to it."""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """A refusal that has a permanent name.

    Attributes:
        code: permanent kebab-case name; its page is `docs/problems/<code>.md`.
        detail: one English sentence for the developer who reads the answer; no personal data.
        field: the member of the input that is at fault, as a dotted path, or None.
    """

    code: ClassVar[str]

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidInput(DomainError):
    """The input does not have the agreed shape, or a value is outside its range."""

    code = "invalid-input"


class NotFound(DomainError):
    """The thing named does not exist, or not for this caller."""

    code = "not-found"


class Unauthenticated(DomainError):
    """The caller did not prove who they are."""

    code = "unauthenticated"


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    code = "forbidden"


class InsufficientScope(DomainError):
    """The access token lacks the scope. Source: RFC 6750 s. 3.1."""

    code = "insufficient-scope"


class TooManyAttempts(DomainError):
    """The caller must wait. Source: NIST SP 800-63B s. 3.2.2.

    Attributes:
        retry_after_seconds: whole seconds until the next attempt is looked at.
    """

    code = "too-many-attempts"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Conflict(DomainError):
    """The state of the thing does not allow this now."""

    code = "conflict"
