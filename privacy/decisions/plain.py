"""Answers about plain people by what their last word looks like, without deciding about each anew.

Of plain people (`privacy/consent/plain_sightings.py`) a decision depends on nothing but the purpose and
some few marks of their last word: what it was, under which notice, whether it was express, and on which
side of the present instant its own instants lie. `Decisions.conclude` answers once for each such set of
marks; whoever has the same marks gets the same form of answer. Everybody else is left to `Reader.see`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.asking import rests_until
from policies.decision import ConsentFact, Facts
from policies.vocabulary import ConsentAction
from privacy.actor import Actor
from privacy.consent.model import Sighting
from privacy.decisions import model
from privacy.decisions.encoding import Form, Forms
from privacy.decisions.facts import NEVER, NO_EVENT, Entry
from privacy.decisions.instants import micros, rfc3339_of
from privacy.decisions.model import APPLICATION, PERSON, Question
from privacy.decisions.reader import Pair, Reader
from privacy.decisions.service import Decisions

#: So many sets of marks are told apart; then all are forgotten.
MOST_SHAPES: Final = 4096
#: No "no" has rested earlier: twelve months are never fewer days.
_RESTS_AT_LEAST: Final = timedelta(days=365)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC, as the driver gives instants
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_NAME: Final = model.NO_EVENT.encode()
_NO: Final = frozenset({ConsentAction.REFUSED.value, ConsentAction.WITHDRAWN.value})

Told = tuple[Form, str, str | None, datetime | None, datetime | None]
"""(form, subject id, id of the event, when it was said, when it ends), the instants in naive UTC."""


class PlainAnswers:
    """Answers usual questions about plain people."""

    def __init__(self, reader: Reader, decisions: Decisions, forms: Forms) -> None:
        """Wire it.

        Args:
            reader: reads the database.
            decisions: the authority.
            forms: of all answers.
        """
        self._reader = reader
        self._decisions = decisions
        self._forms = forms
        # A duty may depend on more than the marks: purposes with any are left to `see`.
        self._lists = {
            unit: rule is not None and rule.direct_marketing
            for unit, rule in decisions.rules.items()
            if rule is None or not rule.obligations
        }
        self._shapes: dict[tuple[object, ...], Form] = {}

    def tell(self, actor: Actor, wanted: Sequence[Pair], now: datetime) -> list[Told | None]:
        """Return what is answered to questions without anything unusual in them; counts nothing.

        Args:
            actor: the caller.
            wanted: (pseudonym, unit); any strings as pseudonyms.
            now: aware.

        Returns:
            For each in its order; None where `Reader.see` has to tell.
        """
        told: list[Told | None] = [None] * len(wanted)
        lists = self._lists
        places = [place for place, (_, unit) in enumerate(wanted) if unit in lists]
        if not places:
            return told
        asked = [(value, unit, lists[unit]) for value, unit in (wanted[each] for each in places)]
        present = now.astimezone(UTC).replace(tzinfo=None)
        a_year_ago = present - _RESTS_AT_LEAST
        shapes, instant = self._shapes, self._reader.instant
        marks: tuple[object, ...]
        for row in self._reader.see_plain(actor.domain, asked):
            at, subject_id, plain, event_id, action, said, version, ends, explicit = row
            if not plain:
                continue
            place = places[at]
            unit = wanted[place][1]
            try:
                if event_id is None:
                    marks = (unit,)
                else:
                    said = instant(said)
                    if ends is not None:
                        ends = instant(ends)
                    marks = (
                        unit,
                        action,
                        version,
                        explicit,
                        said <= present,
                        ends and ends > present,
                        action in _NO and said <= a_year_ago and _rests_until(said) <= present,
                    )
                form = shapes.get(marks)
                if form is None:
                    said_last = event_id is not None
                    fact = _fact(action, said, version, ends, explicit) if said_last else None
                    form = self._shape(actor, marks, fact, now)
            except (TypeError, ValueError):  # what was never written: `see` finds out the same
                continue
            told[place] = form, subject_id, event_id, said, ends
        return told

    def writer(self, domain: str, instant: int) -> Callable[[Told], bytes]:
        """Return what makes the JSON of an answer.

        Args:
            domain: whom it is given to.
            instant: when, in microseconds since 1970.
        """
        name_of = self._decisions.event_name
        rest = f":{self._decisions.revision}:".encode() + rfc3339_of(instant)

        def write(told: Told) -> bytes:
            form, _, event_id, _, ends = told
            evidence = (name_of(domain, event_id).encode() if event_id else _NO_NAME) + rest
            if form.ends and ends is not None:
                until = ends.isoformat(timespec="milliseconds").encode() + b"Z"
                return form.template % (evidence, until)
            return form.fill(evidence, instant, 0)

        return write

    def entries(self, domain: str, now: datetime) -> Callable[[Told], Entry | None]:
        """Return what tells what is remembered of an answer; None: nothing can be.

        Args:
            domain: whom it was told to.
            now: aware; when.
        """
        name_of, number_of = self._decisions.event_name, self._forms.number_of
        instant = micros(now)

        def entry(told: Told) -> Entry | None:
            form, _, event_id, said, ends = told
            number = number_of(form)
            if number is None:
                return None
            if event_id is None or said is None:
                return number, NEVER, NO_EVENT
            # From when it has rested on, a no may say that the person can be asked.
            later = [None if form.permit else _rests_until(said), said, ends]
            found = [_micros(each) for each in later if each is not None]
            until = min((each for each in found if each > instant), default=NEVER)
            return number, until, bytes.fromhex(name_of(domain, event_id))

        return entry

    def _shape(
        self, actor: Actor, marks: tuple[object, ...], fact: ConsentFact | None, now: datetime
    ) -> Form:
        unit = str(marks[0])
        facts = Facts(known=True, restricted=False, blocked=False, objected=False, consent=fact)
        question = Question(APPLICATION, actor.client_id or "", unit, PERSON, "")
        # Form and marks have no part in which person or event it is.
        sighting = Sighting(subject_id="", event_id=None, facts=facts)
        answer = self._decisions.conclude(actor, question, unit, sighting, now)
        if len(self._shapes) >= MOST_SHAPES:
            self._shapes.clear()
        form = self._shapes[marks] = self._forms.form_of(answer)
        return form


def _fact(
    action: str, said: datetime, version: int, ends: datetime | None, explicit: int
) -> ConsentFact:
    return ConsentFact(
        action=ConsentAction(action),
        at=said.replace(tzinfo=UTC),
        notice_version=int(version),
        expires_at=ends and ends.replace(tzinfo=UTC),
        explicit=bool(explicit),
    )


def _rests_until(said: datetime) -> datetime:
    """Take and return naive UTC."""
    return rests_until(_fact(ConsentAction.REFUSED, said, 0, None, 0)).replace(tzinfo=None)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
