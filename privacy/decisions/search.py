"""Whose data may be used for a purpose: page by page through an application's people.

Who there is comes from the database for each page, at its own moment. Whether they are permitted, a
process that remembers people knows of most (`search_memory`). Else it is read too (`search_store`): people
who are alike in all that a decision reads are decided once, by `policies.decision.decide`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from math import ceil
from typing import Any, Final

from policies.decision import (
    Decision,
    Facts,
    Obligation,
    ObligationType,
    PurposeRule,
    covered_categories,
    decide,
)
from policies.vocabulary import DecisionReason, LegalBasis
from privacy.actor import Actor
from privacy.consent.event_store import fact_of
from privacy.consent.model import StateUnreadable
from privacy.consent.sightings import CHUNK
from privacy.decisions.instants import micros
from privacy.decisions.model import PeoplePage, Question
from privacy.decisions.reader import UNSEEN, Reader
from privacy.decisions.search_memory import RememberedPeople
from privacy.decisions.search_store import alike, everybody, present
from privacy.decisions.uses import UseCounter
from privacy.prepared import DRIVER_ERRORS, Connections, Prepared

#: One page looks at so many people at most, however few of them are permitted.
LOOKED_AT: Final = 10_000
_FEWEST_AT_ONCE: Final = 200
#: How many more are looked at than it takes if as many of them are permitted as of those before.
_MARGIN: Final = 1.05

Duties = tuple[Obligation, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """People one after the other in the order of their pseudonyms: after one, up to and with another."""

    domain: str
    after: str
    last: str

    @property
    def wanted(self) -> dict[str, object]:
        """The parameters that say so."""
        return {"of_domain": self.domain, "of_after": self.after, "of_last": self.last}


class PeopleSearch:
    """Finds whose data an application may use for a purpose."""

    def __init__(
        self,
        connections: Connections,
        rules: Mapping[str, PurposeRule | None],
        uses: UseCounter,
        *,
        looked_at: int = LOOKED_AT,
    ) -> None:
        """Wire it.

        Args:
            connections: to read by.
            rules: what is decided by, unit by unit; None for one that is not in force.
            uses: counts who is found.
            looked_at: how many people a page looks at, at most.
        """
        dialect = connections.engine.dialect.name
        self._rules = rules
        self._uses = uses
        self._looked_at = looked_at
        self._memory: RememberedPeople | None = None
        self._reader = Reader(connections)
        self._everybody = Prepared(connections, partial(everybody, dialect))
        self._present = Prepared(connections, partial(present, dialect))
        self._alike = {
            (by_consent, lists): Prepared(
                connections, partial(alike, dialect, by_consent=by_consent, lists=lists)
            )
            for by_consent in (True, False)
            for lists in (True, False)
        }

    def remember_by(self, memory: RememberedPeople | None) -> None:
        """Answer from memory what it holds; call it before the first search. None: read each time."""
        self._memory = memory

    def page(
        self,
        actor: Actor,
        unit: str | DecisionReason,
        now: datetime,
        *,
        after: str = "",
        limit: int = 100,
        asked: Question | None = None,
    ) -> PeoplePage:
        """Return whose data the application may use for a purpose; who is returned is counted.

        Args:
            actor: the caller, whose domain's people are asked about.
            unit: as `Decisions.unit_of` returned it.
            now: aware UTC; after the question arrived.
            after: the `last` of the page before; "" begins.
            limit: the most to return; a page may have fewer, or none, and yet not be the last.
            asked: the categories wanted and the duties that the caller fulfils; None: not said.

        Raises:
            sqlite3.Error, psycopg.Error: the database could not answer.
        """
        rule = None if isinstance(unit, DecisionReason) else self._rules[unit]
        if rule is None or (
            asked and asked.categories and not covered_categories(rule, asked.categories)
        ):
            return PeoplePage({}, None)
        supported = asked.supported_obligations if asked else None
        found: dict[str, Duties] = {}
        looked_at, most, ended = 0, self._looked_at, False
        while not ended and len(found) < limit and looked_at < most:
            size = min(most - looked_at, _size(limit - len(found), len(found), looked_at))
            [row] = self._everybody.rows(of_domain=actor.domain, of_after=after, of_stretch=size)
            looked_at, ended = looked_at + row.people, row.people < size
            if row.names:
                names = row.names.split(" ")
                recalled = self._recalled(actor, names, rule, now)
                if recalled is not None:
                    found |= dict.fromkeys(recalled, ())
                else:
                    stretch = _Stretch(actor.domain, after, row.last)
                    permitted = self._permitted(stretch, rule, now, supported)
                    found |= {name: permitted[name] for name in names if name in permitted}
            after = row.last or after
        if len(found) > limit:
            found, ended = dict(islice(found.items(), limit)), False
            after = next(reversed(found))
        self._uses.count_alike(actor.domain, micros(now), found, rule.id, permit=True)
        return PeoplePage(found, None if ended else after)

    def _recalled(
        self, actor: Actor, names: Sequence[str], rule: PurposeRule, now: datetime
    ) -> Sequence[str] | None:
        """Return who is permitted by what this process remembers; None: too little of it holds."""
        if self._memory is None or rule.obligations or rule.solely_automated:
            return None  # duties may differ from one to the other
        return self._memory.permitted(actor, names, rule.id, now)

    def _permitted(
        self,
        stretch: _Stretch,
        rule: PurposeRule,
        now: datetime,
        supported: frozenset[str] | None,
    ) -> Mapping[str, Duties]:
        """Return who is permitted, with the duties; in no order."""
        permitted: dict[str, Duties] = {}
        for names, decision in self._decided(stretch, rule, now):
            duties = decision.obligations
            can = supported is None or all(each.type in supported for each in duties)
            if decision.permit and can:
                permitted.update(dict.fromkeys(names, duties))
        return permitted

    def _decided(
        self, stretch: _Stretch, rule: PurposeRule, now: datetime
    ) -> Iterator[tuple[Sequence[str], Decision]]:
        """Yield decisions and about whom; of whom nothing is said, the answer is no."""
        by_consent = rule.legal_basis is LegalBasis.CONSENT
        statement = self._alike[by_consent, rule.direct_marketing]
        wanted = stretch.wanted | {"of_unit": rule.id}
        if by_consent:
            wanted |= {"of_at": now, "of_dated": _dated(rule)}
        try:
            rows = statement.rows(**wanted)
        except (TypeError, ValueError, *DRIVER_ERRORS):
            # Of what cannot be read nobody learns whose it is: each by itself.
            [row] = self._present.rows(**stretch.wanted)
            yield from self._singly(stretch.domain, row.names, rule, now)
            return
        for row in rows:
            try:
                facts = _facts(row, by_consent=by_consent) if row.plain else None
            except (TypeError, ValueError):
                facts = None
            if facts is None:
                yield from self._singly(stretch.domain, row.names, rule, now)
            else:
                yield row.names.split(" "), decide(rule, facts, now)

    def _singly(
        self, domain: str, names: str | None, rule: PurposeRule, now: datetime
    ) -> Iterator[tuple[Sequence[str], Decision]]:
        """Yield the decision about each, as a question about them would be answered."""
        pairs = [(name, rule.id) for name in names.split(" ")] if names else []
        for start in range(0, len(pairs), CHUNK):
            chunk = pairs[start : start + CHUNK]
            try:
                seen = self._reader.see(domain, chunk, now)
            except StateUnreadable:
                seen = {}
                for pair in chunk:
                    try:
                        seen |= self._reader.see(domain, [pair], now)
                    except StateUnreadable:  # then the answer is no
                        continue
            for pair in chunk:
                sighting = seen.get(pair, UNSEEN).sighting
                yield (pair[0],), decide(rule, sighting.facts, now)


def _size(missing: int, found: int, looked_at: int) -> int:
    """How many to look at next."""
    if not looked_at:
        return max(missing, _FEWEST_AT_ONCE)
    likely = ceil(missing * looked_at / found * _MARGIN) if found else 2 * looked_at
    return max(likely, _FEWEST_AT_ONCE)


def _dated(rule: PurposeRule) -> bool:
    """Tell whether a duty depends on the day of the consent: then nobody is alike without it."""
    return any(each.type is ObligationType.KEEP_UNTIL for each in rule.obligations)


def _facts(row: Any, *, by_consent: bool) -> Facts:  # noqa: ANN401 - a row of `alike`
    """What is known of plain people who are alike.

    Raises:
        ValueError: it holds what was never written.
    """
    return Facts(
        known=True,
        verified=row.verified if by_consent else True,
        restricted=False,
        blocked=False,
        objected=False,
        consent=fact_of(row, None) if by_consent else None,
    )
