"""Are the acknowledgements those that the audit log recorded? Part of `placet audit verify`."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.vocabulary import EventTag
from privacy.audit import store as audit
from privacy.audit.encoding import FormatError
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.clock import rfc3339
from privacy.consent import store as words
from privacy.consent.acknowledgement_store import AcknowledgementRow
from privacy.consent.acknowledgements import (
    NoticeAcknowledged,
    evidence_of,
    recorded,
    to_acknowledgement,
)
from privacy.consent.cross_check import Finding


def cross_check(session: Session, log: AuditLog) -> Iterator[Finding]:
    """Yield every acknowledgement altered, added or removed behind the log's back.

    Entries that a proven erasure emptied are passed over.
    """
    query = (
        sa.select(AcknowledgementRow, audit.Payload, audit.Opening.entry_id)
        .outerjoin(audit.Payload, audit.Payload.entry_id == AcknowledgementRow.entry_id)
        .outerjoin(audit.Opening, audit.Opening.entry_id == AcknowledgementRow.entry_id)
    )
    for row, payload, erased in session.execute(query):
        if payload is not None:
            wrong = _compare(session, log, row, payload)
        else:
            wrong = None if erased else "has no entry in the log"
        if wrong:
            yield row.entry_id, f"acknowledgement {row.acknowledgement_id} {wrong}"
    yield from _removed(session)


def _compare(
    session: Session, log: AuditLog, row: AcknowledgementRow, payload: audit.Payload
) -> str | None:
    """What is wrong with a row, seen from its entry; None where nothing is."""
    kept = words.kept_words(session, row.notice, row.version).get(row.language)
    if kept is None:
        return "names words that were never published"
    try:
        made = to_acknowledgement(row)
        disclosed = log.disclose(session, payload).payload
    except Exception as error:  # noqa: BLE001 - whatever an altered row provokes is the finding
        return f"cannot be read beside its entry: {type(error).__name__}"
    expected = {
        "at": rfc3339(made.at),
        "event": recorded(made).ids(),
        "evidence": evidence_of(made, kept.text),
    }
    different = [name for name, value in expected.items() if disclosed.get(name) != value]
    return f"differs from its entry in {different[0]}" if different else None


def _removed(session: Session) -> Iterator[Finding]:
    query = (
        sa.select(audit.Payload.entry_id, audit.Entry.leaf)
        .join(audit.Entry, audit.Entry.entry_id == audit.Payload.entry_id)
        .outerjoin(AcknowledgementRow, AcknowledgementRow.entry_id == audit.Payload.entry_id)
        .outerjoin(words.EventRow, words.EventRow.entry_id == audit.Payload.entry_id)
        .where(
            words.EventRow.entry_id.is_(None),
            audit.Payload.retention == NoticeAcknowledged.retention.value,
            AcknowledgementRow.entry_id.is_(None),
        )
    )
    for entry_id, leaf in session.execute(query):
        try:
            tag = parse_leaf(leaf).type
        except FormatError:
            continue  # the log's own verification reports it
        if tag == EventTag.CONSENT_NOTICE_ACKNOWLEDGED.value:
            yield entry_id, "the acknowledgement that this entry recorded was removed"
