"""The suppression list: who objected to direct marketing stays out of it, even once erased.

An objection puts every address of the person on the list, as keyed hashes; an express consent
after it takes them off. Who comes back under such an address is still on it.
Source: GDPR Art. 17(3)(b), 21(3); LOPDGDD Art. 15.2, 23.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.register.model import Register
from privacy.clock import rfc3339
from privacy.consent import store as consent_store
from privacy.consent import suppression_store as store
from privacy.consent.suppression_model import SuppressionAdded, SuppressionEnded
from privacy.consent.suppression_store import ALL_MARKETING
from privacy.events import Json
from privacy.subjects.fact_store import FactKind, note
from privacy.subjects.store import all_ids
from privacy.unit_of_work import UnitOfWork


def suppress(
    uow: UnitOfWork, subject_id: str, purpose: str, *, since: datetime | None = None
) -> int:
    """Put every address of a person on the list; joins the caller's transaction.

    Args:
        uow: the caller's unit of work.
        subject_id: the person.
        purpose: a unit of the register, or `ALL_MARKETING`.
        since: aware; None: now.

    Returns:
        How many addresses there are.
    """
    since = since or uow.now
    ended = [
        row
        for row in store.wanted_of(uow.session, subject_id)
        if purpose in (row.purpose, ALL_MARKETING) and row.since <= since
    ]
    store.want_no_more(uow.session, ended)
    on_it = {
        (row.kind, row.blind_index)
        for row in store.suppressions_of(uow.session, subject_id, purpose)
        if row.since >= since
    } - {(row.kind, row.blind_index) for row in ended}
    addresses = store.addresses_of(uow.session, subject_id)
    new = [each for each in addresses if (each.kind, each.blind_index) not in on_it]
    if new:
        entry_id = uow.record(
            SuppressionAdded(subject_id=subject_id, purpose=purpose), {"since": rfc3339(since)}
        )
        for address in new:
            store.suppress(uow.session, address, purpose, since, entry_id)
        kind = FactKind.SUPPRESSED
        note(uow, subject_id, kind, True, purpose=purpose, value_at=since, entry_id=entry_id)
    return len(addresses)


def release(
    uow: UnitOfWork, subject_id: str, purpose: str, *, at: datetime, despite_all: bool = False
) -> bool:
    """Take a person's addresses off the list for one purpose; tell whether any was on it.

    One about all marketing stays for every other purpose, of today and to come. What the person
    consents to after it prevails by itself (`policies.decision`); where they take back an objection
    to what rests on no consent, `despite_all` lets that purpose through. Joins the caller's
    transaction.

    Args:
        uow: the caller's unit of work.
        subject_id: the person.
        purpose: the unit that they want again.
        at: aware; when they said so: an older word ends nothing.
        despite_all: an objection to all marketing keeps this purpose out no longer.

    Source: LOPDGDD Art. 23(4).
    """
    rows = store.suppressions_of(uow.session, subject_id, purpose)
    ended = [row for row in rows if row.since <= at]
    overcome = _overcome(uow, subject_id, purpose, at) if despite_all else []
    if not ended and not overcome:
        return False
    entry_id = uow.record(
        SuppressionEnded(subject_id=subject_id, purpose=purpose),
        {
            "since": rfc3339(min(row.since for row in [*ended, *overcome])),
            "recorded_by": uow.actor.name,
        },
    )
    store.release(uow.session, ended)
    store.want(uow.session, overcome, purpose, at, entry_id)
    if len(ended) == len(rows):
        kind, value_at = FactKind.SUPPRESSED, at if overcome else None
        for each in uow.session.scalars(all_ids(subject_id)) if overcome else (subject_id,):
            note(
                uow,
                each,
                kind,
                False,
                purpose=purpose,
                value_at=value_at,
                at=max(at, uow.now),
                entry_id=entry_id,
            )
    return True


def _overcome(
    uow: UnitOfWork, subject_id: str, purpose: str, at: datetime
) -> list[sa.Row[*tuple[Any, ...]]]:
    """The objections to all marketing, by address, that keep the purpose out still."""
    wanted = {
        (row.kind, row.index_version, row.blind_index)
        for row in store.wanted_of(uow.session, subject_id)
        if row.purpose == purpose
    }
    return [
        row
        for row in store.suppressions_of(uow.session, subject_id, ALL_MARKETING)
        if row.since <= at and (row.kind, row.index_version, row.blind_index) not in wanted
    ]


class SuppressionSource:
    """The list as a source of personal data."""

    name = "suppression"

    def __init__(self, register: Register) -> None:
        self._register = register

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return what the person's addresses are kept out of. Source: GDPR Art. 15(1)."""
        rows = store.suppressions_of(session, subject_id)
        wanted = {(row.purpose, rfc3339(row.since)) for row in store.wanted_of(session, subject_id)}
        found = sorted({(row.purpose, rfc3339(row.since)) for row in rows})
        return {
            "suppressed": [
                {"purpose": None if purpose == ALL_MARKETING else purpose, "since": since}
                for purpose, since in found
            ],
            "wanted": [{"purpose": unit, "since": since} for unit, since in sorted(wanted)],
            "exclusion_lists": list(store.lists_naming(session, subject_id)),
        }

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep the list, and put on it every address that the person has by now.

        An address that came after the objection would otherwise be forgotten with the person. What
        was wanted in spite of it goes: who comes back says so anew.
        Source: GDPR Art. 17(3)(b); LOPDGDD Art. 15.2.
        """
        store.want_no_more(uow.session, store.wanted_of(uow.session, subject_id))
        for objection in consent_store.objections_of(uow.session, subject_id):
            purpose = self._register.purpose(objection.purpose)
            if purpose is None or purpose.direct_marketing:
                suppress(uow, subject_id, objection.purpose, since=objection.since)
        since = [row.since for row in store.suppressions_of(uow.session, subject_id, ALL_MARKETING)]
        if since:
            suppress(uow, subject_id, ALL_MARKETING, since=max(since))
