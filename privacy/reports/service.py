"""The DPO's evidence of consent: what was said, as the log proves it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from policies.errors import Conflict, NotFound
from policies.register.model import Register
from policies.vocabulary import ConsentAction
from privacy.audit import store as audit
from privacy.audit.evidence import Evidence
from privacy.audit.export import ExportEntry, stream
from privacy.audit.inclusion import Inclusions
from privacy.audit.log import AuditLog
from privacy.audit.note import Verifier
from privacy.clock import rfc3339
from privacy.consent import store
from privacy.consent.model import ConsentEvent, is_id
from privacy.events import Json
from privacy.keys.sealing import KeyDestroyed, SealBroken
from privacy.reports.model import CSV_BOM, ExportForm, ExportIssued, Filters, csv_line
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

PAGE: Final = 50
BLOCK: Final = 500

COLUMNS: Final = (
    "event_id",
    "entry_id",
    "log_index",
    "at",
    "purpose",
    "action",
    "channel",
    "notice",
    "notice_version",
    "notice_digest",
    "language",
    "explicit",
    "expires_at",
    "register_revision",
    "recorded_by",
    "person",
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of events, newest first.

    Attributes:
        events: with their places in the log; None while pending.
        total: events that the filters let through, on all pages.
        by_action: the same by what was said.
            newer: the ordinal that the page before begins behind, or None on the first.
        older: the ordinal that the next page begins behind, or None on the last.
    """

    events: tuple[tuple[ConsentEvent, int | None], ...]
    total: int
    by_action: Mapping[ConsentAction, int]
    newer: int | None
    older: int | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One event with everything that supports it.

    Attributes:
        text: the exact words shown, as the log keeps them; None where they were erased.
        addresses: the person's, as far as we still hold them.
        index: place in the log; None while pending.
        proof: the C2SP tlog-proof, or None while pending.
    """

    event: ConsentEvent
    text: str | None
    addresses: tuple[str, ...]
    index: int | None
    leaf: str
    proof: str | None


class ConsentReports:
    """Reports of consents, for the desk and for programs."""

    def __init__(
        self,
        register: Register,
        log: AuditLog,
        subjects: Subjects,
        read_key: Callable[[], Verifier],
    ) -> None:
        self._controller = register.controller.name
        self._zone = ZoneInfo(register.controller.time_zone)
        self._log = log
        self._subjects = subjects
        self._read_key = read_key

    def person_of(self, session: Session, address: str) -> str | None:
        """Return the subject id whom an e-mail address finds, or None.

        Raises:
            InvalidInput: it is not an address.
        """
        return self._subjects.find_by_email(session, address)

    def page(
        self,
        session: Session,
        filters: Filters,
        *,
        after: int | None = None,
        before: int | None = None,
    ) -> Page:
        """Return the events behind `after` (older), or else those in front of `before` (newer)."""
        wanted = wanted_events(filters, self._zone)
        if after is None and before is not None:
            found = store.select_events(session, wanted, after_ordinal=before, limit=PAGE + 1)
            more_newer, more_older = len(found) > PAGE, True
            events = found[:PAGE][::-1]
        else:
            found = store.select_events(
                session, wanted, after_ordinal=after, limit=PAGE + 1, newest_first=True
            )
            more_newer, more_older = after is not None, len(found) > PAGE
            events = found[:PAGE]
        indexes = audit.indexes_of(session, [event.entry_id for event in events])
        by_action = _count_by_action(session, filters, self._zone)
        return Page(
            events=tuple((event, indexes.get(event.entry_id)) for event in events),
            total=sum(by_action.values()),
            by_action=by_action,
            newer=events[0].ordinal if events and more_newer else None,
            older=events[-1].ordinal if events and more_older else None,
        )

    def detail(self, session: Session, event_id: str) -> Detail:
        """Return an event with the words shown and its proof.

        Raises:
            NotFound: there is no such event.
        """
        event = store.event_by_id(session, event_id) if is_id(event_id) else None
        if event is None:
            raise NotFound("there is no such consent event")
        inclusions = Inclusions(session)
        placed = inclusions.find(event.entry_id)
        [entry] = audit.entries(session, [event.entry_id])
        return Detail(
            event=event,
            text=self._text(session, event.entry_id),
            addresses=tuple(self._subjects.emails(session, event.subject_id)),
            index=placed.index if placed else None,
            leaf=entry.leaf.decode(),
            proof=inclusions.tlog_proof(placed) if placed else None,
        )

    def _text(self, session: Session, entry_id: str) -> str | None:
        payload = audit.by_entry(session, audit.Payload, [entry_id]).get(entry_id)
        if payload is None:
            return None
        try:
            disclosed = self._log.disclose(session, payload)
        except (KeyDestroyed, SealBroken):  # erased, or altered: the log's verification says which
            return None
        match disclosed.payload:
            case {"evidence": {"text": str() as text}}:
                return text
            case _:
                return None

    def export(
        self,
        session: Session,
        filters: Filters,
        form: ExportForm,
        *,
        by: str,
        at: datetime,
        after: int | None = None,
        limit: int | None = None,
    ) -> Export:
        """Return the file with the filtered events, newest first, and their proofs.

        Args:
            session: a snapshot, open until the file was read.
            filters: which events.
            form: JSON is evidence; CSV is for reading.
            by: who asks, as the audit trail calls them.
            at: the instant that the file names.
            after: only events behind this ordinal.
            limit: at most so many events; None for all.

        Raises:
            Conflict: nothing was signed yet, so that nothing can be proven.
        """
        events = _Events(session, wanted_events(filters, self._zone), after, limit)
        meta: dict[str, object] = {
            "report": "consents",
            "controller": self._controller,
            "exported_at": rfc3339(at),
            "exported_by": by,
            "filters": filters.to_query(),
        }
        if form is ExportForm.CSV:
            return Export(lambda: _csv(session, events), events)
        evidence = Evidence(session, self._log)
        if evidence.checkpoint is None:
            raise Conflict("no checkpoint was signed yet; try again in some seconds")
        return Export(lambda: self._json(session, events, meta), events)

    def _json(
        self, session: Session, events: _Events, meta: Mapping[str, object]
    ) -> Iterator[bytes]:
        evidence = Evidence(session, self._log)
        notices: set[tuple[str, int]] = set()
        revisions: set[str] = set()

        def entries() -> Iterator[ExportEntry]:
            for block in events.blocks():
                notices.update((event.notice, event.notice_version) for event in block)
                revisions.update(event.register_revision for event in block)
                yield from evidence.of([event.entry_id for event in block])
            yield from evidence.erasures()

        def closing() -> Mapping[str, object]:
            return {
                "meta": {
                    **meta,
                    "events": events.count,
                    "pending": evidence.pending,
                    "next": events.next,
                },
                "register": {
                    "revisions": sorted(revisions),
                    "notices": [_notice(session, *key) for key in sorted(notices)],
                },
            }

        yield from stream(self._read_key(), evidence.checkpoint or "", entries(), closing)

    @staticmethod
    def record(uow: UnitOfWork, filters: Filters, form: ExportForm, count: int, sha256: str) -> str:
        """Record that an export is handed out, commit, and return the entry id."""
        searched: dict[str, Json] = dict(filters.to_query())
        entry_id = uow.record(
            ExportIssued(form=form.value, count=count, sha256=sha256), {"filters": searched}
        )
        uow.commit()
        return entry_id


class _Events:
    """The events of one export, block by block, as often as they are asked for.

    Attributes:
        count: events of the last time.
        next: the ordinal behind which more follow, or None.
    """

    def __init__(
        self, session: Session, wanted: store.EventFilter, after: int | None, limit: int | None
    ) -> None:
        self._session = session
        self._wanted = wanted
        self._after = after
        self._limit = limit
        self.count = 0
        self.next: int | None = None

    def blocks(self) -> Iterator[list[ConsentEvent]]:
        """Yield the events, newest first, in blocks."""
        self.count, self.next = 0, None
        after = self._after
        while self._limit is None or self.count < self._limit:
            size = BLOCK if self._limit is None else min(BLOCK, self._limit - self.count)
            found = store.select_events(
                self._session,
                self._wanted,
                after_ordinal=after,
                limit=size + 1,
                newest_first=True,
            )
            block = found[:size]
            if not block:
                return
            after = block[-1].ordinal
            self.count += len(block)
            self.next = after if len(found) > size else None
            yield block
            if self.next is None:
                return


class Export:
    """A file that is made as it is read: the same bytes each time, for one snapshot.

    So it can be hashed and recorded before the first byte leaves, and needs neither memory nor
    a plain copy on disk.
    """

    def __init__(self, make: Callable[[], Iterable[bytes]], events: _Events) -> None:
        self._make = make
        self._events = events

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes."""
        yield from self._make()

    def digest(self) -> tuple[int, str]:
        """Return how many events are in it, and its SHA-256 in hex."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return self._events.count, digest.hexdigest()


def wanted_events(filters: Filters, zone: ZoneInfo) -> store.EventFilter:
    """The filters as instants: days begin and end at midnight in `zone`."""
    day_after = filters.last_day + timedelta(days=1) if filters.last_day else None
    return store.EventFilter(
        purpose=filters.purpose,
        action=filters.action,
        channel=filters.channel,
        since=_midnight(filters.first_day, zone) if filters.first_day else None,
        until=_midnight(day_after, zone) if day_after else None,
        subject_id=filters.person,
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _count_by_action(
    session: Session, filters: Filters, zone: ZoneInfo
) -> dict[ConsentAction, int]:
    actions = [filters.action] if filters.action else list(ConsentAction)
    counts = {
        action: store.count_events(session, wanted_events(replace(filters, action=action), zone))
        for action in actions
    }
    return {action: count for action, count in counts.items() if count}


def _csv(session: Session, events: _Events) -> Iterator[bytes]:
    yield (CSV_BOM + csv_line(COLUMNS)).encode()
    for block in events.blocks():
        indexes = audit.indexes_of(session, [event.entry_id for event in block])
        lines = (csv_line(_cells(event, indexes.get(event.entry_id))) for event in block)
        yield "".join(lines).encode()


def _cells(event: ConsentEvent, index: int | None) -> tuple[str, ...]:
    return (
        event.event_id,
        event.entry_id,
        "" if index is None else str(index),
        rfc3339(event.at),
        event.purpose,
        event.action.value,
        event.channel.value,
        event.notice,
        str(event.notice_version),
        event.notice_digest,
        event.language,
        "true" if event.explicit else "false",
        rfc3339(event.expires_at) if event.expires_at else "",
        event.register_revision,
        event.recorded_by,
        event.subject_id,
    )


def _notice(session: Session, notice: str, version: int) -> dict[str, object]:
    """A published revision with its exact wordings, whatever the register's files say today."""
    words = store.kept_words(session, notice, version)
    return {
        "notice": notice,
        "version": version,
        "digest": next(iter(words.values())).digest if words else None,
        "texts": {language: row.text for language, row in sorted(words.items())},
    }
