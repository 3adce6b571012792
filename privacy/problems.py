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
    "weak-password": Problem(422, "The password is too easy to guess"),
}
