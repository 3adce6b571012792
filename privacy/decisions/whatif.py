"""Before a register is published: how many people lose or gain a permit by it, and why.

People are not decided of one by one: the database counts those who are alike in all that a decision
reads, and `decide` answers once for each such kind under either register. So the counts agree with
the answers, and a million people cost one pass of the database for each unit whose rule changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.decision import ConsentFact, Facts, PurposeRule, decide
from policies.register.difference import Difference, as_published, differences
from policies.register.model import Register
from policies.vocabulary import ConsentAction, DecisionReason, LegalBasis, SaidBy
from privacy.consent.model import purpose_rule
from privacy.consent.store import StateRow, sighting_by
from privacy.subjects.store import SubjectRow
from privacy.tables import UtcDateTime

_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)
_STEP: Final = timedelta(days=1)


class _Term(IntEnum):
    """When a consent ends, as seen from the instant asked about."""

    NONE = 0
    PAST = 1
    TO_COME = 2


class _Listed(IntEnum):
    """Where an address stands on our own suppression list, as seen from the consent."""

    NO = 0
    BEFORE = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class UnitChange:
    """What a register changes for one unit.

    Attributes:
        before: how many people it may use now.
        after: how many it could use.
        lost: of those who are permitted no more, how many by the last of the reasons, which is the
            consent's own where it is one: it brought the others about.
        gained: of those who are permitted newly, how many by the ground of the permit.
    """

    unit: str
    before: int
    after: int
    lost: Mapping[DecisionReason, int]
    gained: Mapping[DecisionReason, int]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What publishing a register would change.

    Attributes:
        old: revision of the one, `new`: of the other, its drafts not counted.
        differences: entry by entry.
        units: of those whose rule changes, in the order of the registers; people whom no rule
            concerns otherwise than before are not counted.
    """

    old: str
    new: str
    differences: tuple[Difference, ...]
    units: tuple[UnitChange, ...]


def what_if(session: Session, old: Register, new: Register, at: datetime) -> WhatIf:
    """Return what it would change if a register took the place of another, drafts published.

    Args:
        session: one snapshot.
        old: as it is in force: its drafts are none.
        new: its drafts count as published at `at`.
        at: aware; the instant of the decisions.
    """
    candidate = as_published(new, at.date())
    units = dict.fromkeys((*old.purposes, *candidate.purposes))
    changes = (
        _change(session, unit, purpose_rule(old, unit), purpose_rule(candidate, unit), at)
        for unit in units
    )
    return WhatIf(
        old=old.revision,
        new=new.revision,
        differences=differences(old, candidate),
        units=tuple(each for each in changes if each is not None),
    )


def _change(
    session: Session, unit: str, old: PurposeRule | None, new: PurposeRule | None, at: datetime
) -> UnitChange | None:
    if _deciding(old) == _deciding(new):
        return None
    before = after = 0
    lost: Counter[DecisionReason] = Counter()
    gained: Counter[DecisionReason] = Counter()
    for facts, people in _kinds(session, unit, [each for each in (old, new) if each], at):
        was, would = decide(old, facts, at), decide(new, facts, at)
        before += people * was.permit
        after += people * would.permit
        if was.permit and not would.permit:
            lost[would.reasons[-1]] += people
        if would.permit and not was.permit:
            gained[would.reasons[0]] += people
    return UnitChange(unit, before, after, dict(lost.most_common()), dict(gained.most_common()))


def _deciding(rule: PurposeRule | None) -> PurposeRule | None:
    """A rule without what changes no permit."""
    if rule is None:
        return None
    plain = {"notice": "", "notice_version": 0, "keep_months": None, "keep_from": ""}
    return replace(rule, categories=(), obligations=(), **cast("dict[str, Any]", plain))


def _kinds(
    session: Session, unit: str, rules: Sequence[PurposeRule], at: datetime
) -> Iterator[tuple[Facts, int]]:
    """Yield every kind of person that the unit knows, by what its rules read, and how many."""
    by_consent = all(rule.legal_basis is LegalBasis.CONSENT for rule in rules)
    marketing = any(rule.direct_marketing for rule in rules)
    statement = _kinds_statement(by_consent=by_consent, marketing=marketing)
    for row in session.execute(statement, {"of_unit": unit, "of_at": at}):
        facts = _facts(row, at)
        if facts is not None:
            yield facts, row.people


def _kinds_statement(*, by_consent: bool, marketing: bool) -> sa.Select[*tuple[Any, ...]]:
    """Build the count of people by everything that `decide` compares.

    Whom every rule would deny for want of a consent is left in the database, and so are the lists
    of those who want no marketing where nothing is marketing.
    """
    at = sa.bindparam("of_at", type_=UtcDateTime)
    seen = sighting_by(sa.bindparam("of_unit"), _SUBJECT).where(_SUBJECT.c.merged_into.is_(None))
    if by_consent:
        in_force = (ConsentAction.GIVEN, ConsentAction.RENEWED)
        seen = seen.where(sa.or_(*(_STATE.c.action == each.value for each in in_force)))
    one = seen.subquery("seen").c
    # As `store.fact_of`: a guardian's word counts for a minor alone, and until the birthday.
    of_guardian = one.said_by == SaidBy.GUARDIAN.value
    while_minor = sa.and_(one.minor_until.is_not(None), one.at < one.minor_until)
    ends_with_age = sa.and_(of_guardian, one.minor_until < one.expires_at)
    end = sa.case((ends_with_age, one.minor_until), else_=one.expires_at)
    since = one.suppressed_since
    kinds: list[sa.ColumnElement[Any]] = [
        one.restricted.label("restricted"),
        one.blocked.label("blocked"),
        one.deceased.label("deceased"),
        one.minor.label("minor"),
        one.verified.label("verified"),
        one.objected.label("objected"),
        one.action.label("action"),
        one.notice_version.label("notice_version"),
        one.explicit.label("explicit"),
        (one.at <= at).label("begun"),
        sa.case((of_guardian, sa.not_(while_minor)), else_=while_minor).label("by_minor"),
        sa.case((end.is_(None), _Term.NONE), (end <= at, _Term.PAST), else_=_Term.TO_COME).label(
            "term"
        ),
    ]
    if marketing:
        kinds += [
            sa.case(
                (since.is_(None), _Listed.NO),
                (since <= one.at, _Listed.BEFORE),
                else_=_Listed.AFTER,
            ).label("listed"),
            one.excluded.label("excluded"),
        ]
    else:
        kinds += [sa.literal(int(_Listed.NO)).label("listed"), sa.false().label("excluded")]
    by = sa.select(*kinds).subquery("kind")
    return sa.select(*by.c, sa.func.count().label("people")).group_by(*by.c)


def _facts(row: sa.Row[*tuple[Any, ...]], at: datetime) -> Facts | None:
    """Return a person of a kind; None where the state is unreadable, which every rule denies."""
    said = at - _STEP if row.begun else at + _STEP
    consent = None
    if row.action is not None:
        try:
            action = ConsentAction(row.action)
        except ValueError:
            return None
        consent = ConsentFact(
            action=action,
            at=said,
            notice_version=row.notice_version,
            expires_at={_Term.NONE: None, _Term.PAST: at, _Term.TO_COME: at + _STEP}[row.term],
            explicit=bool(row.explicit),
            by_minor=bool(row.by_minor),
        )
    since = {_Listed.NO: None, _Listed.BEFORE: said, _Listed.AFTER: said + _STEP}[row.listed]
    return Facts(
        known=True,
        verified=bool(row.verified),
        restricted=bool(row.restricted),
        blocked=bool(row.blocked),
        objected=bool(row.objected),
        consent=consent,
        minor_without_guardian=bool(row.minor),
        deceased=bool(row.deceased),
        suppressed_since=since,
        excluded=bool(row.excluded),
    )
