"""Answers from the database, each from a snapshot that was opened after the question arrived.

Plain people are answered by what one lean statement tells of them (`plain.py`), everybody else by
`Reader.see` and a decision about each. Where something is remembered, what was read is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from policies.asking import rests_until
from privacy.actor import Actor
from privacy.consent.model import StateUnreadable
from privacy.decisions.encoding import Forms
from privacy.decisions.facts import NEVER, NO_EVENT, Entry, FactTable, Pair
from privacy.decisions.instants import micros
from privacy.decisions.model import APPLICATION, PERSON, Answer, Question
from privacy.decisions.plain import PlainAnswers, Told
from privacy.decisions.reader import UNSEEN, Reader, Seen
from privacy.decisions.remembered import Count
from privacy.decisions.service import Decisions


class FreshAnswers:
    """Reads, answers, counts and remembers."""

    def __init__(
        self,
        reader: Reader,
        decisions: Decisions,
        forms: Forms,
        count: Count,
        table: FactTable | None,
    ) -> None:
        """Wire it.

        Args:
            reader: reads the database.
            decisions: the authority.
            forms: of all answers.
            count: counts an answer.
            table: what this process remembers; None: nothing.
        """
        self._reader = reader
        self._decisions = decisions
        self._forms = forms
        self._count = count
        self._table = table
        self._plain = PlainAnswers(reader, decisions, forms)

    def answers(self, actor: Actor, wanted: Sequence[Pair], now: datetime) -> list[bytes] | None:
        """Return the JSON of the answers, and count them.

        Args:
            actor: the caller.
            wanted: (pseudonym, unit), the units those of the caller; not too many for one statement.
            now: aware; after the questions arrived.

        Returns:
            In their order; None, and nothing is counted, where one cannot be read.
        """
        told = self._told(actor, wanted, now)
        decided = self._decided(actor, _others(wanted, told), now)
        if decided is None:
            return None
        following, domain, instant, count = iter(decided), actor.domain, micros(now), self._count
        write, answers = self._plain.writer(domain, instant), []
        for (pseudonym, unit), each in zip(wanted, told, strict=True):
            if each is not None:
                count(domain, instant, pseudonym, unit, each[0].permit)
                answers.append(write(each))
                continue
            answer = next(following)
            if answer.subject_id is not None:
                count(domain, instant, pseudonym, unit, answer.decision.permit)
            ends = answer.decision.valid_until
            until = micros(ends) if ends else 0
            form = self._forms.form_of(answer)
            answers.append(form.fill(answer.evidence_id.encode(), instant, until))
        return answers

    def permits(self, actor: Actor, wanted: Sequence[Pair], now: datetime) -> list[bool] | None:
        """Return whether each is permitted, uncounted; as `answers`."""
        told = self._told(actor, wanted, now)
        decided = self._decided(actor, _others(wanted, told), now)
        if decided is None:
            return None
        following = iter(decided)
        return [each[0].permit if each else next(following).decision.permit for each in told]

    def load(self, actor: Actor, wanted: Sequence[Pair], now: datetime) -> None:
        """Remember what can be, unasked and uncounted; as `answers`."""
        self._decided(actor, _others(wanted, self._told(actor, wanted, now)), now)

    def _told(self, actor: Actor, wanted: Sequence[Pair], now: datetime) -> list[Told | None]:
        """Answer and remember of whom plain; None for whom `_decided` is to answer."""
        table = self._table
        if table is None:
            return self._plain.tell(actor, wanted, now)
        asked = [*wanted, *self._again(table, actor, wanted)]
        moment = table.versions.moment()  # before the snapshot
        told = self._plain.tell(actor, asked, now)
        entry_of = self._plain.entries(actor.domain, now)
        entries: dict[tuple[str, str], dict[str, Entry]] = {}
        for (pseudonym, unit), each in zip(asked, told, strict=True):
            entry = each and entry_of(each)
            if each and entry:
                entries.setdefault((pseudonym, each[1]), {})[unit] = entry
        _keep(table, actor.domain, entries, moment, now)
        return told[: len(wanted)]

    def _again(self, table: FactTable, actor: Actor, wanted: Sequence[Pair]) -> list[Pair]:
        """Return what else was remembered of the person of a single question.

        Who is changed is so as a whole: one read now instead of one for each purpose that will be
        asked about.
        """
        if len(wanted) != 1:
            return []
        [(pseudonym, asked)] = wanted
        units = table.kept(actor.domain, pseudonym)
        return [(pseudonym, unit) for unit in units if unit != asked and unit in actor.purposes]

    def _decided(
        self, actor: Actor, wanted: Sequence[Pair], now: datetime
    ) -> Sequence[Answer] | None:
        """Read whole, decide and remember; None: something cannot be read."""
        if not wanted:
            return ()
        table = self._table
        moment = table.versions.moment() if table is not None else 0  # before the snapshot
        try:
            seen = self._reader.see(actor.domain, wanted, now)
        except StateUnreadable:
            return None
        answers = []
        for pair in wanted:
            question = Question(APPLICATION, actor.client_id or "", pair[1], PERSON, pair[0])
            each = seen.get(pair, UNSEEN)
            answer = self._decisions.conclude(actor, question, pair[1], each.sighting, now)
            entry = self._entry(answer, each, now) if table is not None else None
            if table is not None and entry is not None and answer.subject_id is not None:
                _keep(
                    table,
                    actor.domain,
                    {(pair[0], answer.subject_id): {pair[1]: entry}},
                    moment,
                    now,
                )
            answers.append(answer)
        return answers

    def _entry(self, answer: Answer, seen: Seen, now: datetime) -> Entry | None:
        """Return what is remembered of an answer; None: not all that differs from others fits."""
        decision, consent = answer.decision, seen.sighting.facts.consent
        ends = [seen.until] if seen.until else []
        if not decision.permit and consent is not None and (rests := rests_until(consent)) > now:
            ends.append(rests)  # from then on the answer may say that the person can be asked
        until = micros(min(ends)) if ends else NEVER
        if decision.valid_until is not None and micros(decision.valid_until) != until:
            return None
        number = self._forms.number_of(self._forms.form_of(answer))
        if number is None:
            return None
        event, _, _ = answer.evidence_id.partition(":")
        return number, until, NO_EVENT if event == "-" else bytes.fromhex(event)


def _others(wanted: Sequence[Pair], told: Sequence[Told | None]) -> list[Pair]:
    return [pair for pair, each in zip(wanted, told, strict=True) if each is None]


def _keep(
    table: FactTable,
    domain: str,
    entries: Mapping[tuple[str, str], Mapping[str, Entry]],
    moment: int,
    now: datetime,
) -> None:
    """Remember entries by (pseudonym, subject id), then by purpose."""
    instant = micros(now)
    for (pseudonym, subject_id), of_person in entries.items():
        table.keep(domain, pseudonym, of_person, subject_id=subject_id, moment=moment, now=instant)
