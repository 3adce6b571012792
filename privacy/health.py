"""Is this deployment up, is it ready, and how does it fare? Also its front page and contact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Final

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, redirect, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import NotFound
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.actor import ActorKind
from privacy.audit import store as audit
from privacy.consent import store as consent
from privacy.heartbeat import ALIVE, last_beat
from privacy.http import current_actor, is_api, requires
from privacy.migration import newest_revisions, revisions_of
from privacy.outbox import OutboxRow
from privacy.unit_of_work import Runtime

OK: Final = "ok"
#: The contact is said anew each day; RFC 9116 s. 2.5.5 recommends less than a year.
CONTACT_LASTS: Final = timedelta(days=180)
_FORWARDED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP")

Check = Callable[[Session, datetime], str]


def blueprint(runtime: Runtime, register: Register, base_url: str) -> Blueprint:
    """Return the routes of health, metrics, contact and the front page."""
    routes = Blueprint("health", __name__)
    checks = _checks(register)

    @routes.after_app_request
    def keep_out_of_search_engines(response: Response) -> Response:
        """Nothing here is for a search engine; what needs a token none can reach."""
        if not is_api(request.path):
            response.headers.setdefault("X-Robots-Tag", "noindex, nofollow")
        return response

    @routes.get("/")
    @requires(Scope.PUBLIC)
    def front() -> BaseResponse | str:
        """Lead a person to their page, and tell anybody else what this place is."""
        if current_actor().kind is ActorKind.PERSON:
            return redirect("/privacy", code=303)
        return render_template("landing.html")

    @routes.get("/healthz")
    @requires(Scope.PUBLIC)
    def healthz() -> Response:
        """Tell that this process answers."""
        return jsonify(status=OK)

    @routes.get("/readyz")
    @requires(Scope.PUBLIC)
    def readyz() -> tuple[Response, int]:
        """Tell whether people can be served, and if not, which check fails."""
        found = _run(runtime, checks)
        ready = all(result == OK for result in found.values())
        return jsonify(ready=ready, checks=found), 200 if ready else 503

    @routes.get("/metrics")
    @requires(Scope.PUBLIC)
    def metrics() -> Response:
        """Return figures for Prometheus, to this machine alone."""
        if not _is_local():
            raise NotFound("there is nothing at this address")
        with runtime.snapshot() as session:
            lines = list(_metrics(session, runtime.clock()))
        return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4")

    @routes.get("/.well-known/security.txt")
    @requires(Scope.PUBLIC)
    def security_txt() -> Response:
        """Say whom to tell of a weakness. Source: RFC 9116."""
        today = runtime.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        expires = (today + CONTACT_LASTS).isoformat().replace("+00:00", "Z")
        lines = (
            f"Contact: mailto:{register.controller.privacy_email}",
            f"Expires: {expires}",
            "Preferred-Languages: es, en",
            f"Canonical: {base_url}/.well-known/security.txt",
        )
        return Response("".join(f"{line}\n" for line in lines), mimetype="text/plain")

    return routes


def _checks(register: Register) -> dict[str, Check]:
    newest = cache(newest_revisions)

    def database(session: Session, _now: datetime) -> str:
        session.execute(sa.select(sa.literal(1)))
        return OK

    def migrations(session: Session, _now: datetime) -> str:
        return (
            OK
            if revisions_of(session) == newest()
            else "the database is not at the newest revision"
        )

    def register_published(session: Session, _now: datetime) -> str:
        if session.get(consent.RegisterRevisionRow, register.revision) is not None:
            return OK
        return "the register's revision is not published; run: placet register publish"

    def worker(session: Session, now: datetime) -> str:
        beat = last_beat(session)
        if beat is not None and now - beat < ALIVE:
            return OK
        return "no worker gave a sign of life; run: placet worker"

    return {
        "database": database,
        "migrations": migrations,
        "register": register_published,
        "worker": worker,
    }


def _run(runtime: Runtime, checks: dict[str, Check]) -> dict[str, str]:
    """Run each check on a snapshot of its own: one that fails must not fail the others."""
    found = {}
    for name, check in checks.items():
        try:
            with runtime.snapshot() as session:
                found[name] = check(session, runtime.clock())
        except SQLAlchemyError as error:
            found[name] = f"the database does not answer: {type(error).__name__}"
    return found


def _is_local() -> bool:
    """Whether the caller sits on this machine, and no proxy stands between."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _metrics(session: Session, now: datetime) -> Iterator[str]:
    """Yield lines of Prometheus' text format."""
    latest = audit.latest_checkpoint(session)
    oldest = session.scalar(sa.select(sa.func.min(audit.Pending.at)))
    beat = last_beat(session)
    states = sa.select(OutboxRow.state, sa.func.count()).group_by(OutboxRow.state)
    outbox = {row[0]: row[1] for row in session.execute(states)}
    figures: tuple[tuple[str, str, str, float | None], ...] = (
        ("log_entries", "gauge", "Entries under the newest checkpoint.", _size(latest)),
        ("log_pending", "gauge", "Entries without a place yet.", audit.pending_count(session)),
        ("log_oldest_pending_seconds", "gauge", "Age of the oldest of them.", _age(oldest, now)),
        ("outbox_waiting", "gauge", "Messages to be sent.", outbox.get("waiting", 0)),
        ("outbox_failed", "gauge", "Messages given up.", outbox.get("failed", 0)),
        (
            "consent_events_total",
            "counter",
            "Consents given, refused and withdrawn.",
            consent.count_events(session, consent.EventFilter()),
        ),
        (
            "worker_heartbeat_age_seconds",
            "gauge",
            "Since the worker's last sign of life; absent where there was none.",
            None if beat is None else _age(beat, now),
        ),
    )
    for name, kind, text, value in figures:
        yield f"# HELP placet_{name} {text}"
        yield f"# TYPE placet_{name} {kind}"
        if value is not None:
            yield f"placet_{name} {value:g}" if value % 1 else f"placet_{name} {int(value)}"


def _size(latest: audit.SignedCheckpoint | None) -> int:
    return 0 if latest is None else latest.tree_size


def _age(since: datetime | None, now: datetime) -> float:
    return 0 if since is None else max(0.0, (now - since).total_seconds())
