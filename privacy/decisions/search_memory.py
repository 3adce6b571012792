"""Which people a purpose may use, by what this process remembers of single answers.

Each is confirmed after the search has arrived, as for a question about them alone (docs/decisions/0011-freshness.md);
of whom nothing holds is read, and remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import compress
from typing import Final

from privacy.actor import Actor
from privacy.decisions.encoding import Forms
from privacy.decisions.facts import UNKNOWN, FactTable
from privacy.decisions.fresh import FreshAnswers
from privacy.decisions.instants import micros
from privacy.decisions.parsing import MOST_EVALUATIONS

#: Where less than so much is remembered, one statement about all costs less than one about the rest.
_LEAST_REMEMBERED: Final = 0.75


class RememberedPeople:
    """Answers about many people at once from memory."""

    def __init__(self, table: FactTable, forms: Forms, fresh: FreshAnswers) -> None:
        """Wire it.

        Args:
            table: what this process remembers.
            forms: of the answers in it.
            fresh: reads of whom nothing is remembered.
        """
        self._table = table
        self._forms = forms
        self._fresh = fresh

    def permitted(
        self, actor: Actor, people: Sequence[str], unit: str, now: datetime
    ) -> Sequence[str] | None:
        """Return who is permitted, in their order; counts nothing.

        Args:
            actor: the caller.
            people: pseudonyms of theirs, no aliases.
            unit: of theirs, and without duties.
            now: aware; after the question arrived.

        Returns:
            None where too little is remembered, or something cannot be read.
        """
        most = min(MOST_EVALUATIONS, int(len(people) * (1 - _LEAST_REMEMBERED)))
        told = self._table.forms_of(actor.domain, people, unit, micros(now), most_unknown=most)
        if told is None:
            return None
        permits = {form: self._forms.all[form].permit for form in set(told) - {UNKNOWN}}
        if UNKNOWN not in told:
            return list(compress(people, map(permits.__getitem__, told)))
        unknown = [name for name, form in zip(people, told, strict=True) if form == UNKNOWN]
        read = self._fresh.permits(actor, [(name, unit) for name in unknown], now)
        if read is None:
            return None
        following = iter(read)
        answers = (next(following) if form == UNKNOWN else permits[form] for form in told)
        return list(compress(people, answers))
