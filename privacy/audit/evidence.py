"""Entries made ready for an outsider: leaf, proof, and what opens the commitment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from privacy.audit import store
from privacy.audit.erasure import Opening
from privacy.audit.export import ExportEntry
from privacy.audit.inclusion import Inclusions, Placed
from privacy.audit.log import AuditLog, Disclosure


class Evidence:
    """The evidence of entries, all under the newest checkpoint of one snapshot.

    Attributes:
        checkpoint: the signed note, or None before the first.
        pending: ids of entries asked for that cannot be proven yet: without a place, or erased
            by an erasure without one. The worker places them within seconds.
    """

    def __init__(self, session: Session, log: AuditLog) -> None:
        self._session = session
        self._log = log
        self._inclusions = Inclusions(session)
        self._shown: set[str] = set()
        self._erasures: dict[str, Placed] = {}
        self.checkpoint = self._inclusions.checkpoint
        self.pending: list[str] = []

    def of(self, entry_ids: Sequence[str]) -> Iterator[ExportEntry]:
        """Yield the evidence of these entries in their order; those not provable are noted."""
        placed = {each.entry_id: each for each in self._inclusions.of(entry_ids)}
        payloads = store.by_entry(self._session, store.Payload, entry_ids)
        openings = store.by_entry(self._session, store.Opening, entry_ids)
        self._place_erasures({opening.erasure_entry_id for opening in openings.values()})
        for entry_id in entry_ids:
            opening = openings.get(entry_id)
            if entry_id not in placed or (
                opening is not None and opening.erasure_entry_id not in self._erasures
            ):
                self.pending.append(entry_id)
                continue
            self._shown.add(entry_id)
            yield self._entry(placed[entry_id], payloads.get(entry_id), opening)

    def erasures(self) -> Iterator[ExportEntry]:
        """Yield the erasures that the openings lead to, where they were not shown yet."""
        missing = [each for each in self._erasures.values() if each.entry_id not in self._shown]
        entry_ids = [each.entry_id for each in missing]
        payloads = store.by_entry(self._session, store.Payload, entry_ids)
        for each in sorted(missing, key=lambda each: each.index):
            self._shown.add(each.entry_id)
            yield self._entry(each, payloads.get(each.entry_id), None)

    def _place_erasures(self, entry_ids: set[str]) -> None:
        for each in self._inclusions.of(sorted(entry_ids - self._erasures.keys())):
            self._erasures[each.entry_id] = each

    def _entry(
        self, placed: Placed, payload: store.Payload | None, opening: store.Opening | None
    ) -> ExportEntry:
        disclosed = None if payload is None else self._disclose(payload)
        shows_opening = opening is not None and disclosed is None
        return ExportEntry(
            index=placed.index,
            entry_id=bytes.fromhex(placed.entry_id),
            leaf=placed.leaf,
            proof=placed.hashes,
            payload=None if disclosed is None else disclosed.payload,
            nonce=None if disclosed is None else disclosed.nonce,
            opening=Opening.from_json(json.loads(opening.opening))
            if opening is not None and shows_opening
            else None,
        )

    def _disclose(self, payload: store.Payload) -> Disclosure | None:
        """Open a payload; one that does not open is shown as withheld, and so found by readers."""
        try:
            return self._log.disclose(self._session, payload)
        except Exception:  # noqa: BLE001 - destroyed keys and altered rows raise what they like
            return None
