"""Are the rows of consent those that the audit log recorded? Part of `placet audit verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.consent_history import standing
from policies.vocabulary import ConsentAction, EventTag, RetentionClass
from privacy.audit import store as audit
from privacy.audit.encoding import FormatError
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.clock import rfc3339
from privacy.consent import store
from privacy.consent.model import RECORDED, ConsentEvent, evidence_of, recorded
from privacy.events import Json
from privacy.subjects.store import SubjectRow

BLOCK: Final = 500

_CONSENT_TAGS: Final = frozenset(event.tag.value for event in RECORDED.values())
_OBJECTION_TAGS: Final = frozenset(
    {EventTag.CONSENT_OBJECTION_MADE.value, EventTag.CONSENT_OBJECTION_LIFTED.value}
)

_PERSON: Final = sa.func.coalesce(SubjectRow.merged_into, SubjectRow.subject_id)

Finding = tuple[str, str]
"""(entry id, what is wrong with the row that names it)."""


def cross_check(session: Session, log: AuditLog) -> Iterator[Finding]:
    """Yield every difference between the tables of consent and the log's own entries.

    Rows altered, removed or added behind our back, current states that are not the last event's,
    objections that nobody made. Entries that a proven erasure emptied are passed over; that the
    payloads are the ones committed to is the log's own verification.
    """
    yield from _rows(session, log)
    yield from _entries(session, log)
    yield from _states(session)


def _rows(session: Session, log: AuditLog) -> Iterator[Finding]:
    """Each row of `consent_event` against its entry."""
    after = 0
    while True:
        query = sa.select(store.EventRow).where(store.EventRow.ordinal > after)
        rows = session.scalars(query.order_by(store.EventRow.ordinal).limit(BLOCK)).all()
        if not rows:
            return
        entry_ids = [row.entry_id for row in rows]
        leaves = {entry.entry_id: entry.leaf for entry in audit.entries(session, entry_ids)}
        payloads = _payloads(session, entry_ids)
        erased = _erased(session, entry_ids)
        log.look_up(session, payloads.values())
        texts = _texts(session, rows)
        for row in rows:
            if row.entry_id in payloads:
                text = texts.get((row.notice, row.notice_version, row.language))
                wrong = _compare(
                    session, log, row, leaves[row.entry_id], payloads[row.entry_id], text
                )
            elif row.entry_id in erased:
                wrong = None
            else:
                wrong = "has no entry in the log"
            if wrong:
                yield row.entry_id, f"consent event {row.event_id} {wrong}"
        after = rows[-1].ordinal


def _compare(
    session: Session,
    log: AuditLog,
    row: store.EventRow,
    leaf: bytes,
    payload: audit.Payload,
    text: str | None,
) -> str | None:
    """What is wrong with a row, seen from its entry; None where nothing is."""
    try:
        event = store.to_event(row)
    except ValueError:
        return "holds what is never written"
    try:
        disclosed = log.disclose(session, payload).payload
        tag = parse_leaf(leaf).type
    except Exception as error:  # noqa: BLE001 - whatever an altered row provokes is the finding
        return f"has an entry that cannot be opened: {type(error).__name__}"
    if text is None:
        return "names words that were never published"
    match disclosed:
        case {"evidence": {"reason": str() as reason}}:  # kept in no table: the log alone has it
            event = replace(event, reason=reason)
    expected = _expected(event, text)
    found: Mapping[str, Json] = {**disclosed, "tag": tag}
    for member, value in expected.items():
        if found.get(member) != value:
            return f"differs from its entry in {_first_difference(member, value, found)}"
    return None


def _expected(event: ConsentEvent, text: str) -> dict[str, Json]:
    entry = recorded(event)
    return {
        "tag": entry.tag.value,
        "at": rfc3339(event.recorded_at or event.at),
        "event": entry.ids(),
        "evidence": evidence_of(event, text),
    }


def _first_difference(member: str, value: Json, found: Mapping[str, Json]) -> str:
    other = found.get(member)
    if isinstance(value, dict) and isinstance(other, dict):
        names = [*value, *(name for name in other if name not in value)]
        return next((name for name in names if value.get(name) != other.get(name)), member)
    return "action" if member == "tag" else member


def _entries(session: Session, log: AuditLog) -> Iterator[Finding]:
    """Each entry about consent that no row of `consent_event` names, and the objections."""
    objections: dict[tuple[Json, Json], str] = {}
    query = (
        sa.select(audit.Payload, audit.Entry.leaf)
        .join(audit.Entry, audit.Entry.entry_id == audit.Payload.entry_id)
        .outerjoin(audit.Leaf, audit.Leaf.entry_id == audit.Payload.entry_id)
        .outerjoin(audit.Pending, audit.Pending.entry_id == audit.Payload.entry_id)
        .outerjoin(store.EventRow, store.EventRow.entry_id == audit.Payload.entry_id)
        .where(
            audit.Payload.retention == RetentionClass.CONSENT_EVIDENCE.value,
            store.EventRow.event_id.is_(None),
        )
        .order_by(audit.Leaf.leaf_index.is_(None), audit.Leaf.leaf_index, audit.Pending.ordinal)
    )
    for payload, leaf in session.execute(query):
        try:
            tag = parse_leaf(leaf).type
        except FormatError:
            continue  # the log's own verification reports it
        if tag in _CONSENT_TAGS:
            yield payload.entry_id, "the consent event that this entry recorded was removed"
        elif tag in _OBJECTION_TAGS:
            try:
                event = log.disclose(session, payload).payload["event"]
            except Exception:  # noqa: BLE001, S112 - the log's own verification reports it
                continue
            if isinstance(event, dict):
                key = (event.get("subject_id"), event.get("purpose"))
                if tag == EventTag.CONSENT_OBJECTION_MADE.value:
                    objections[key] = payload.entry_id
                else:
                    objections.pop(key, None)
    yield from _objections(session, objections)


def _objections(
    session: Session, recorded_ones: Mapping[tuple[Json, Json], str]
) -> Iterator[Finding]:
    """The objections in force against those that the entries leave in force."""
    left = dict(recorded_ones)
    rows = list(session.scalars(sa.select(store.ObjectionRow)))
    erased = _erased(session, [row.entry_id for row in rows])
    for row in rows:
        if left.pop((row.subject_id, row.purpose), None) == row.entry_id:
            continue
        if row.entry_id not in erased:
            yield row.entry_id, "an objection is in force that this entry does not record"
    for entry_id in left.values():
        yield entry_id, "the objection that this entry recorded was removed"


def _states(session: Session) -> Iterator[Finding]:
    """The current states, which decisions read, against what the events amount to."""
    for (_person, _purpose), rows in groupby(_events_by_person(session), key=itemgetter(0, 1)):
        said_rows = list(rows)
        state = said_rows[0].StateRow
        events = {row.EventRow.event_id: row.EventRow for row in said_rows}
        try:
            stands = standing(store.to_word(store.to_event(row)) for row in events.values())
        except ValueError:
            continue  # its own row was reported
        if stands is None:
            continue
        row = events[stands.event_id]
        if state is None or any(getattr(state, n) != getattr(row, n) for n in store.LATEST):
            yield row.entry_id, f"the current state is not that of the last event {row.event_id}"
    event, state_row = store.EventRow, store.StateRow
    # Under the person's own id or an alias's: two questions, each of which an index answers.
    by_themselves = sa.and_(
        SubjectRow.subject_id == state_row.subject_id, SubjectRow.merged_into.is_(None)
    )
    said = [
        sa.select(event.event_id)
        .join(SubjectRow, SubjectRow.subject_id == event.subject_id)
        .where(
            whose,
            event.purpose == state_row.purpose,
            event.action != ConsentAction.REQUESTED.value,
        )
        .correlate(state_row)
        for whose in (by_themselves, SubjectRow.merged_into == state_row.subject_id)
    ]
    orphans = sa.select(state_row.event_id).where(*(~each.exists() for each in said)).distinct()
    for event_id in session.scalars(orphans):
        yield "", f"a current state names the consent event {event_id}, and there is none"


def _events_by_person(
    session: Session,
) -> Iterator[sa.Row[str, str, store.EventRow, store.StateRow | None]]:
    """Yield (person, purpose, event, state) in that order: what an alias said is the person's."""
    query = (
        sa.select(_PERSON, store.EventRow.purpose, store.EventRow, store.StateRow)
        .join(SubjectRow, SubjectRow.subject_id == store.EventRow.subject_id)
        .outerjoin(
            store.StateRow,
            sa.and_(
                store.StateRow.subject_id == _PERSON,
                store.StateRow.purpose == store.EventRow.purpose,
            ),
        )
        .order_by(_PERSON, store.EventRow.purpose)
    )
    yield from session.execute(query.execution_options(yield_per=BLOCK, populate_existing=True))


def _payloads(session: Session, entry_ids: Sequence[str]) -> dict[str, audit.Payload]:
    query = sa.select(audit.Payload).where(audit.Payload.entry_id.in_(entry_ids))
    return {row.entry_id: row for row in session.scalars(query)}


def _erased(session: Session, entry_ids: Sequence[str]) -> set[str]:
    query = sa.select(audit.Opening.entry_id).where(audit.Opening.entry_id.in_(entry_ids))
    return set(session.scalars(query))


def _texts(session: Session, rows: Sequence[store.EventRow]) -> dict[tuple[str, int, str], str]:
    found = {}
    for notice, version in {(row.notice, row.notice_version) for row in rows}:
        for language, words in store.kept_words(session, notice, version).items():
            found[notice, version, language] = words.text
    return found
