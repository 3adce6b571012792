"""The one table from error codes to RFC 9457 problems. Each code has `docs/problems/<code>.md`."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """How an error code answers over HTTP."""

    status: int
    title: str


PROBLEMS: dict[str, Problem] = {
    "invalid-input": Problem(422, "The input is not valid"),
    "malformed-json": Problem(400, "The body is not JSON"),
    "unsupported-media-type": Problem(415, "The body must be application/json"),
    "body-too-large": Problem(413, "The body is too large"),
    "unauthenticated": Problem(401, "Authentication is needed"),
    "insufficient-scope": Problem(403, "The access token lacks the scope"),
    "forbidden": Problem(403, "Not allowed"),
    "csrf-failed": Problem(400, "The form has expired"),
    "not-found": Problem(404, "Not found"),
    "method-not-allowed": Problem(405, "Method not allowed"),
    "conflict": Problem(409, "Conflict with the present state"),
    "too-many-attempts": Problem(429, "Too many attempts"),
    "bad-request": Problem(400, "The request is not valid HTTP for this resource"),
    "internal-error": Problem(500, "Something failed on our side"),
    "register-invalid": Problem(500, "The register is not valid"),
    "unknown-purpose": Problem(422, "The register has no such purpose"),
    "not-by-consent": Problem(422, "Nobody is asked to consent to this purpose"),
    "unknown-language": Problem(422, "The notice was not published in this language"),
    "not-open-to-objection": Problem(422, "This purpose does not depend on the person"),
    "stale-notice": Problem(409, "Another version of the notice is in force"),
    "nothing-to-withdraw": Problem(409, "There is no consent to withdraw"),
    "purpose-not-of-application": Problem(403, "The application is not registered for the purpose"),
    "malformed-evaluation": Problem(400, "The body is not an access evaluation"),
    "proof-invalid": Problem(410, "The link was used or has expired"),
    "request-closed": Problem(409, "The rights request is not open"),
    "link-not-valid": Problem(410, "The link or code was used or has expired"),
    "wrong-code": Problem(422, "The code is not the expected one"),
    "wrong-credentials": Problem(422, "The address or the password is not right"),
    "weak-password": Problem(422, "The password is too easy to guess"),
}
