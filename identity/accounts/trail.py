"""An account's security trail, read from the audit log: who did what, when, how and why.

Only what concerns the account itself: whoever reads it learns nothing of which applications a
person uses, nor of consents, profile or rights, whose events rest under other keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.vocabulary import EventTag, RetentionClass
from privacy.audit import store as audit_store
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.events import Json
from privacy.keys.sealing import KeyDestroyed

LOOKED_THROUGH: Final = 1000
"""A page looks no further back than this, however often an account was attacked."""

OF_THE_ACCOUNT: Final = (
    "accounts:",
    "administration:",
    "credentials:",
    "mfa:",
    "risk:address-proof:",
    "risk:device:",
    "sessions:",
)
"""How the names of the events begin that concern the account itself."""


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One line of an account's security trail.

    Attributes:
        at: aware UTC, to the second.
        tag: the event's name.
        actor: who did it, as `Actor.name` writes it.
        event: the event's own members.
        evidence: what was kept with it.
    """

    at: datetime
    tag: str
    actor: str
    event: Mapping[str, Json]
    evidence: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Trail:
    """The newest lines of a security trail, newest first, and whether there are older ones."""

    entries: Sequence[TrailEntry]
    more: bool


def trail(
    log: AuditLog,
    session: Session,
    subject_id: str,
    *,
    limit: int | None = None,
    of: tuple[str, ...] = OF_THE_ACCOUNT,
) -> Trail:
    """Return the newest lines; none once the trail's key is gone.

    Args:
        log: opens what was sealed.
        session: one snapshot.
        subject_id: whose.
        limit: at most so many; None: all.
        of: how the names of the events begin that are wanted.
    """
    payloads = _newest_first(session, subject_id, at_most=LOOKED_THROUGH if limit else None)
    leaves = {
        entry.entry_id: parse_leaf(entry.leaf)
        for entry in audit_store.entries(session, [each.entry_id for each in payloads])
    }
    wanted = [each for each in payloads if leaves[each.entry_id].type.startswith(of)]
    entries: list[TrailEntry] = []
    for payload in wanted[:limit]:
        try:
            said = log.disclose(session, payload).payload
        except KeyDestroyed:
            return Trail((), more=False)
        leaf = leaves[payload.entry_id]
        entries.append(
            TrailEntry(
                at=leaf.at.astimezone(UTC),
                tag=leaf.type,
                actor=str(said["actor"]),
                event=cast("Mapping[str, Json]", said["event"]),
                evidence=cast("Mapping[str, Json]", said["evidence"]),
            )
        )
    return Trail(entries, more=len(entries) < len(wanted) or len(payloads) == LOOKED_THROUGH)


def last_sign_in(session: Session, subject_id: str) -> datetime | None:
    """Return when the person last signed in, as far back as is looked; opens nothing."""
    payloads = _newest_first(session, subject_id, at_most=LOOKED_THROUGH)
    found = [
        leaf.at
        for entry in audit_store.entries(session, [each.entry_id for each in payloads])
        if (leaf := parse_leaf(entry.leaf)).type == EventTag.SESSIONS_SIGN_IN_SUCCEEDED
    ]
    return max(found, default=None)


def _newest_first(
    session: Session, subject_id: str, *, at_most: int | None
) -> Sequence[audit_store.Payload]:
    """Return the trail's payloads, those that still wait for their place in the log first."""
    payload, leaf, pending = audit_store.Payload, audit_store.Leaf, audit_store.Pending
    query = (
        sa.select(payload)
        .where(
            payload.holder == subject_id,
            payload.retention == RetentionClass.SECURITY_TRAIL.value,
        )
        .outerjoin(leaf, leaf.entry_id == payload.entry_id)
        .outerjoin(pending, pending.entry_id == payload.entry_id)
        .order_by(leaf.leaf_index.is_not(None), pending.ordinal.desc(), leaf.leaf_index.desc())
        .limit(at_most)
    )
    return session.scalars(query).all()
