"""A page of people as AuthZEN's JSON, written at once: most results differ in the pseudonym alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from policies.decision import Obligation
from policies.errors import Forbidden
from policies.vocabulary import DecisionReason
from privacy.actor import Actor
from privacy.decisions.model import PERSON, Permitted
from privacy.decisions.parsing import MalformedEvaluation, Search
from privacy.decisions.rendering import found
from privacy.decisions.search import PeopleSearch
from privacy.decisions.search_tokens import PageTokens
from privacy.decisions.service import Decisions

#: Stands for the pseudonym, which is ASCII that JSON writes as it is.
_GAP: Final = "*person*"


class PeoplePages:
    """Answers searches for people."""

    def __init__(self, decisions: Decisions, people: PeopleSearch, tokens: PageTokens) -> None:
        """Wire it.

        Args:
            decisions: tells which unit is asked about.
            people: finds them.
            tokens: of pages.
        """
        self._decisions = decisions
        self._people = people
        self._tokens = tokens

    def page(self, actor: Actor, search: Search, now: datetime) -> str:
        """Return the body of an answer; who is found is counted.

        Args:
            actor: the caller.
            search: what is searched for.
            now: aware UTC; after the question arrived.

        Raises:
            MalformedEvaluation: the token is not of this search.
            sqlite3.Error, psycopg.Error: the database could not answer.
        """
        question = search.question
        after = self._tokens.read(question, search.token)
        if after is None:
            raise MalformedEvaluation([("page.token", "belongs to no page of this search")])
        try:
            unit = self._decisions.unit_of(actor, question)
        except Forbidden:
            unit = DecisionReason.UNKNOWN_TYPE  # a search finds nothing; it is no error
        page = self._people.page(actor, unit, now, after=after, limit=search.limit, asked=question)
        return page_of(page.people, self._tokens.write(question, page.last))


def page_of(people: Mapping[str, tuple[Obligation, ...]], next_token: str) -> str:
    """Return the body of an answer, as `jsonify` would write it.

    Args:
        people: the duties that go with each permit, by pseudonym.
        next_token: of the page that follows; "" where none does.
    """
    # By identity: those who are alike share one tuple.
    kinds = {id(duties): duties for duties in people.values()}
    forms = {kind: _form(duties) for kind, duties in kinds.items()}
    if len(forms) == 1:
        [(before, after)] = forms.values()
        results = before + f"{after},{before}".join(people) + after
    else:
        results = ",".join(name.join(forms[id(duties)]) for name, duties in people.items())
    page = _dumps({"count": len(people), "next_token": next_token})
    return f'{{"page":{page},"results":[{results}]}}\n'


def _form(duties: tuple[Obligation, ...]) -> tuple[str, str]:
    """Return what stands before and after the pseudonym of a result."""
    result = _dumps(found(Permitted(_GAP, duties), {"type": PERSON, "id": _GAP}))
    # The last gap: a duty's own words stand before the pseudonym, and may be any.
    before, _, after = result.rpartition(_GAP)
    return before, after


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
