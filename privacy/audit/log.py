"""Writing the log: an entry in the transaction of what it records; what is erased, and its proof."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from sqlalchemy.orm import Session

from policies.vocabulary import EventTag, RetentionClass
from privacy.audit import erasure, store
from privacy.audit.entry_form import EntryForm, intake_tag, payload_place
from privacy.audit.leaf import NONCE_BYTES, Leaf, encode_leaf, opening
from privacy.audit.merkle import leaf_hash
from privacy.clock import rfc3339
from privacy.database import Door
from privacy.events import DEPLOYMENT, Event, Json
from privacy.ids import Ids, new_ordered_id
from privacy.unit_of_work import UnitOfWork


class Sealer(Protocol):
    """Sealing as the log needs it; `privacy.keys` has the real one."""

    def seal(
        self,
        session: Session,
        holder: str,
        retention: RetentionClass,
        where: bytes,
        plain: bytes,
        *,
        at: datetime,
    ) -> bytes:
        """Encrypt `plain` under the holder's key for one retention class."""
        ...

    def open(
        self, session: Session, holder: str, retention: RetentionClass, where: bytes, sealed: bytes
    ) -> bytes:
        """Decrypt what `seal` made for the same place."""
        ...

    def make_ready(
        self,
        session: Session,
        holders: Collection[str],
        retention: RetentionClass,
        *,
        at: datetime,
    ) -> None:
        """Hold the keys of many holders at once, so that `seal` need not ask for each."""
        ...

    def look_up(self, session: Session, wanted: Collection[tuple[str, RetentionClass]]) -> None:
        """Read the keys of many at once, so that `open` need not ask for each."""
        ...


#: Encrypts (associated data, plain).
Seal = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureExecuted(Event):
    """Payloads of the log were erased; the leaf commits to which, and tells nobody.

    Attributes:
        root: the salted Merkle root over the erased entries.
    """

    tag: ClassVar[EventTag] = EventTag.AUDIT_ERASURE_EXECUTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    root: bytes

    @property
    def leaf_erased(self) -> bytes:
        """The root, as the leaf's `erased` member."""
        return self.root


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What an entry commits to: the nonce and the payload that open its commitment."""

    nonce: bytes
    payload: dict[str, Json]


class AuditLog:
    """The log as writers see it."""

    def __init__(self, sealer: Sealer, intake_key: bytes) -> None:
        self._sealer = sealer
        self._intake_key = intake_key

    def append(
        self,
        session: Session,
        happened: Sequence[tuple[Event, Mapping[str, Json]]],
        *,
        at: datetime,
        actor: str,
        ids: Ids,
    ) -> list[str]:
        """Write entries in the caller's transaction, in order, and return their ids.

        A payload is `{at, actor, event, evidence}`, sealed with its nonce under the key of the
        person concerned for the event's retention class; the leaf holds only a commitment to it.
        """
        if len(happened) > 1:
            self._make_ready(session, [event for event, _evidence in happened], at)
        entries = [
            self.draft(event, evidence, self._seal(session, event, at), at=at, actor=actor, ids=ids)
            for event, evidence in happened
        ]
        self.write(session, entries, at=at)
        return [entry.entry_id for entry in entries]

    def write(self, door: Door, entries: Sequence[store.NewEntry], *, at: datetime) -> None:
        """Write entries, to wait for their places in this order, in the caller's transaction."""
        store.add(door, entries, at=at)

    def _seal(self, session: Session, event: Event, at: datetime) -> Seal:
        holder = event.subject_id or DEPLOYMENT
        return lambda where, plain: self._sealer.seal(
            session, holder, event.retention, where, plain, at=at
        )

    def _make_ready(self, session: Session, events: Sequence[Event], at: datetime) -> None:
        holders: dict[RetentionClass, set[str]] = {}
        for event in events:
            holders.setdefault(event.retention, set()).add(event.subject_id or DEPLOYMENT)
        for retention, of_class in holders.items():
            self._sealer.make_ready(session, of_class, retention, at=at)

    def draft(
        self,
        event: Event,
        evidence: Mapping[str, Json],
        seal: Seal,
        *,
        at: datetime,
        actor: str,
        ids: Ids,
    ) -> store.NewEntry:
        """Return the entry that records an event, to be written; reads and writes no database.

        Args:
            event: what happened.
            evidence: what must be provable later.
            seal: by the key of the person concerned, for the event's retention class.
            at: aware; of the entry.
            actor: the name of who did it.
            ids: randomness.
        """
        # Its time is the payload's, and to the second the leaf's: it tells nothing of its own.
        entry_id = new_ordered_id(ids, at)
        holder = event.subject_id or DEPLOYMENT
        payload: dict[str, Json] = {
            "at": rfc3339(at),
            "actor": actor,
            "event": event.ids(),
            "evidence": dict(evidence),
        }
        opened = opening(ids.random_bytes(NONCE_BYTES), payload)
        leaf = encode_leaf(
            Leaf(
                type=event.tag.value,
                purpose=event.leaf_purpose,
                policy_version=event.leaf_policy_version,
                at=at,
                c=hashlib.sha256(opened).digest(),
                erased=event.leaf_erased,
            )
        )
        sealed = seal(payload_place(entry_id), opened)
        return store.NewEntry(
            entry_id=entry_id,
            leaf=leaf,
            intake_tag=intake_tag(self._intake_key, entry_id, leaf),
            holder=holder,
            retention=event.retention.value,
            sealed=sealed,
        )

    def form(
        self, event: Event, evidence: Mapping[str, Json], *, at: datetime, actor: str
    ) -> EntryForm:
        """Return what entries share that differ in a few texts, as `draft` would make each.

        Args:
            event: what happens; `entry_form.gap` stands for what differs.
            evidence: what must be provable later, with gaps as well.
            at: aware; of the entries.
            actor: the name of who does it.
        """
        return EntryForm(self._intake_key, event, evidence, at=at, actor=actor)

    def disclose(self, session: Session, payload: store.Payload) -> Disclosure:
        """Open an entry's payload.

        Raises:
            Exception: what the sealer raises where the key is gone or the row was altered.
        """
        plain = self.open(session, payload)
        return Disclosure(nonce=plain[:NONCE_BYTES], payload=json.loads(plain[NONCE_BYTES:]))

    def open(self, session: Session, payload: store.Payload) -> bytes:
        """As `disclose`, and return the very bytes whose SHA-256 is the commitment."""
        return self._sealer.open(
            session,
            payload.holder,
            RetentionClass(payload.retention),
            payload_place(payload.entry_id),
            payload.sealed,
        )

    def look_up(self, session: Session, payloads: Iterable[store.Payload]) -> None:
        """Get ready to disclose these and no others: their keys in a few statements."""
        classes = {each.value: each for each in RetentionClass}
        wanted = {
            (each.holder, classes[each.retention]) for each in payloads if each.retention in classes
        }
        self._sealer.look_up(session, wanted)

    def is_ours(self, entry_id: str, leaf: bytes, tag: bytes) -> bool:
        """Tell whether this deployment wrote the entry."""
        return hmac.compare_digest(intake_tag(self._intake_key, entry_id, leaf), tag)

    @staticmethod
    def erase(uow: UnitOfWork, holder: str, retentions: Collection[RetentionClass]) -> int:
        """Delete a person's payloads of some classes and record the erasure.

        The leaves and every proof stay valid. Joins the caller's transaction, which also destroys
        the keys. Source: GDPR Art. 17; docs/decisions/0003.

        Returns:
            How many payloads were erased.
        """
        rows = store.payloads_of(uow.session, holder, [r.value for r in retentions])
        if not rows:
            return 0
        named = {
            leaf_hash(entry.leaf): entry.entry_id
            for entry in store.entries(uow.session, [row.entry_id for row in rows])
        }
        names = list(named)
        salts = [
            uow.ids.random_bytes(erasure.SALT_BYTES) for _ in range(erasure.padded_size(len(names)))
        ]
        root, openings = erasure.commit(names, salts)
        erasure_entry_id = uow.record(ErasureExecuted(root=root))
        store.replace_payloads(
            uow.session,
            erasure_entry_id,
            {named[name]: json.dumps(openings[name].to_json()) for name in names},
        )
        return len(names)
