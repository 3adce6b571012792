"""`Idempotency-Key`: a write of the JSON API that is sent twice happens once.

The first answer is kept in the transaction of what it answers, so a crash keeps both or neither, and
no key is ever blocked. What was refused changed nothing: it is not kept, and may be tried again.
Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from flask import Flask, Response, current_app, request

from policies.errors import Conflict, DomainError, InvalidInput
from policies.vocabulary import RetentionClass, Scope
from privacy import idempotency_store as store
from privacy.actor import SYSTEM, Actor
from privacy.http import current_actor
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.openapi import Operation
from privacy.unit_of_work import Runtime

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
#: So long an answer is given again.
KEPT: Final = timedelta(hours=24)
EVERY: Final = timedelta(minutes=10)
#: Writes of the JSON API. AuthZEN's checks write nothing; asking a person does.
PATHS: Final = ("/v1/", "/access/v1/request")
WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: A quoted string. Source: RFC 8941 s. 3.3.3.
_KEY: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_PROBLEMS: Final = (
    "idempotency-key-malformed",
    "idempotency-key-reused",
    "idempotency-in-progress",
)
_TEXT: Final = (
    'A quoted string of 1 to 255 characters, such as `"8e03978e-40d5-43e8"`: sent again within 24 '
    "hours, the same request changes nothing and gets the first answer again."
)

View = Callable[..., Any]


class KeyMalformed(InvalidInput):
    """The header holds no quoted string of 1 to 255 characters."""

    code = "idempotency-key-malformed"


class KeyReused(InvalidInput):
    """The key belongs to another request of this client."""

    code = "idempotency-key-reused"


class InProgress(Conflict):
    """The first request under the key is not answered yet."""

    code = "idempotency-in-progress"


class Idempotency:
    """Answers given again.

    Args:
        runtime: the doors to the database.
        sealer: an answer may name a person.
        key: of the hashes that are kept, 32 bytes.
    """

    def __init__(self, runtime: Runtime, sealer: Sealer, key: bytes) -> None:
        self._runtime = runtime
        self._sealer = sealer
        self._key = key
        self._next: datetime | None = None

    def guard(self, app: Flask) -> None:
        """Let every write of the JSON API heed the header; call it when all routes are there."""
        for rule in app.url_map.iter_rules():
            if rule.rule.startswith(PATHS) and (rule.methods or set()) & WRITING:
                view = app.view_functions[rule.endpoint]
                app.view_functions[rule.endpoint] = self._guarded(view)

    def run_due(self) -> int:
        """Forget what has run out, at most every `EVERY`; return how much. A task of the worker's."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            forgotten = store.forget(uow.session, now)
            uow.commit()
        return forgotten

    def _guarded(self, view: View) -> View:
        @wraps(view)
        def once(**arguments: object) -> object:
            header = request.headers.get(HEADER)
            actor = current_actor()
            if header is None or actor.client_id is None:
                return view(**arguments)
            actor.demand(cast("Scope", getattr(view, "required_scope", Scope.PUBLIC)))
            return self._once(actor, header, lambda: view(**arguments))

        operation: Operation | None = getattr(view, "operation", None)
        if operation is not None:
            once.operation = replace(  # type: ignore[attr-defined]  # read by the document's builder
                operation,
                headers={**operation.headers, HEADER: _TEXT},
                problems=(*operation.problems, *_PROBLEMS),
            )
        return once

    def _once(self, actor: Actor, header: str, view: Callable[[], Any]) -> object:
        digest = self._hash("key", actor.client_id or "", _key_in(header))
        fingerprint = self._hash("request", request.method, request.full_path, request.get_data())
        with self._runtime.snapshot() as session:
            answer = self._answered(session, digest, fingerprint)
        if answer is not None:
            return answer
        refused: DomainError | None = None
        with self._runtime.as_one():
            with self._runtime.unit_of_work(actor) as uow:
                if not store.claim(uow.session, digest):
                    raise InProgress("the first request under this key is not answered yet")
                answer = self._answered(uow.session, digest, fingerprint)
                uow.commit()  # what is undone would give the claim up
            if answer is not None:
                return answer
            try:
                answer = current_app.make_response(view())
            except DomainError as error:  # what it committed before, such as a count, stays
                refused = error
            else:
                if answer.status_code < 300:
                    self._keep(actor, digest, fingerprint, answer)
        if refused is not None:
            raise refused
        return answer

    def _answered(self, session: Session, digest: str, fingerprint: str) -> Response | None:
        """Return the first answer to a key; None where there is none.

        Raises:
            KeyReused: it was the answer to another request.
        """
        row = store.find(session, digest, self._runtime.clock())
        if row is None:
            return None
        if not hmac.compare_digest(row.fingerprint, fingerprint):
            raise KeyReused("the key was used for another request; use a new one")
        kept = json.loads(
            self._sealer.open(
                session, DEPLOYMENT, RetentionClass.SECURITY_TRAIL, _place(digest), row.sealed
            )
        )
        answer = Response(kept["body"], status=kept["status"], mimetype=kept["type"])
        if kept["location"] is not None:
            answer.headers["Location"] = kept["location"]
        answer.headers[REPLAYED] = "true"
        return answer

    def _keep(self, actor: Actor, digest: str, fingerprint: str, answer: Response) -> None:
        kept = {
            "status": answer.status_code,
            "type": answer.mimetype,
            "location": answer.headers.get("Location"),
            "body": answer.get_data(as_text=True),
        }
        with self._runtime.unit_of_work(actor) as uow:
            sealed = self._sealer.seal(
                uow.session,
                DEPLOYMENT,
                RetentionClass.SECURITY_TRAIL,
                _place(digest),
                json.dumps(kept).encode(),
                at=uow.now,
            )
            store.keep(
                uow.session,
                uow.now,
                store.AnswerRow(
                    key_digest=digest,
                    fingerprint=fingerprint,
                    sealed=sealed,
                    expires_at=uow.now + KEPT,
                ),
            )
            uow.commit()

    def _hash(self, use: str, *parts: str | bytes) -> str:
        """Return a keyed hash in which no part runs into the next."""
        told = b"".join(
            len(data).to_bytes(8) + data
            for data in (each.encode() if isinstance(each, str) else each for each in (use, *parts))
        )
        return hmac.digest(self._key, told, "sha256").hex()


def _key_in(header: str) -> str:
    """Return the key that a header holds.

    Raises:
        KeyMalformed: it is no quoted string of 1 to 255 characters.
    """
    found = _KEY.fullmatch(header.strip(" "))
    if found is None:
        raise KeyMalformed('send a quoted string of 1 to 255 characters, such as "a1b2"')
    return re.sub(r"\\(.)", r"\1", found[1])


def _place(digest: str) -> bytes:
    return place("idempotency", "sealed", digest)
