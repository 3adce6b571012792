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
    "guardian-needed": Problem(409, "A parent or guardian must consent"),
    "deceased-person": Problem(409, "The person has died"),
    "nothing-to-ask": Problem(409, "There is nothing that may be asked now"),
    "not-requestable": Problem(409, "The person is not asked because of this answer"),
    "already-asked": Problem(409, "The person may still answer an earlier question"),
    "asked-enough": Problem(409, "Earlier questions are still open"),
    "nothing-to-withdraw": Problem(409, "There is no consent to withdraw"),
    "purpose-not-of-application": Problem(403, "The application is not registered for the purpose"),
    "idempotency-key-malformed": Problem(400, "The idempotency key is no quoted string"),
    "idempotency-key-reused": Problem(422, "The idempotency key belongs to another request"),
    "idempotency-in-progress": Problem(409, "The first request under this key is being answered"),
    "malformed-evaluation": Problem(400, "The body is not an access evaluation"),
    "proof-invalid": Problem(410, "The link was used or has expired"),
    "request-closed": Problem(409, "The rights request is not open"),
    "link-not-valid": Problem(410, "The link or code was used or has expired"),
    "wrong-code": Problem(422, "The code is not the expected one"),
    "address-proof-needed": Problem(403, "Prove the address in this browser first"),
    "wrong-credentials": Problem(422, "The address or the password is not right"),
    "passkey-ceremony-ended": Problem(410, "The passkey ceremony was used or has expired"),
    "passkey-refused": Problem(422, "The passkey was not accepted"),
    "passkey-suspended": Problem(403, "The passkey is suspended"),
    "factor-still-needed": Problem(409, "This factor cannot be removed yet"),
    "identity-taken": Problem(409, "The identity opens another account"),
    "last-way-in": Problem(409, "This is the only way into the account"),
    "address-taken": Problem(409, "The address has an account of its own"),
    "weak-password": Problem(422, "The password is too easy to guess"),
    "factor-needed": Problem(403, "The account has no factor that is enough"),
    "account-disabled": Problem(403, "The account is disabled"),
    "last-administrator": Problem(409, "The last administrator stays one"),
    "upstream-refused": Problem(422, "The outside provider's answer was refused"),
    "own-account": Problem(403, "Nobody administers their own account"),
}
