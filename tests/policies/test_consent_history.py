"""What words amount to, whatever order they came in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.consent_history import (
    YES,
    Objected,
    Word,
    fold,
    is_yes,
    live_at,
    objected_over,
    standing,
)
from policies.decision import ConsentFact, Facts, PurposeRule, decide
from policies.vocabulary import ConsentAction, LegalBasis

START = datetime(2026, 1, 1, tzinfo=UTC)
RULE = PurposeRule("newsletter", LegalBasis.CONSENT, 2, 24, explicit=True)


def after(days: int) -> datetime:
    return START + timedelta(days=days)


def word(
    name: str,
    action: ConsentAction,
    day: int,
    *,
    recorded: int | None = None,
    follows: str | None = None,
    end: int | None = 700,
    version: int = 2,
    explicit: bool = True,
) -> Word:
    expires = after(end) if is_yes(action) and end is not None else None
    fact = ConsentFact(action, after(day), version, expires, explicit and is_yes(action))
    return Word(name, fact, after(day if recorded is None else recorded), follows)


@st.composite
def histories(draw: st.DrawFn) -> list[Word]:
    """Up to eight words of one person and purpose; few instants, so that many coincide."""
    words: list[Word] = []
    for number in range(draw(st.integers(0, 8))):
        action = draw(st.sampled_from(ConsentAction))
        day = draw(st.integers(0, 4))
        before = [each for each in words if is_yes(each.fact.action)]
        end: int | None = draw(st.sampled_from([2, 5, 700, None]))
        if action is ConsentAction.EXPIRED and before:
            ended = draw(st.sampled_from(before))
            day = max(day, (ended.fact.at - START).days)
            made = word(f"e{number}", action, day, recorded=day + 1, follows=ended.event_id)
        else:
            made = word(
                f"e{number}",
                action,
                day,
                recorded=day + draw(st.sampled_from([0, 0, 3])),
                end=end,
                version=draw(st.integers(1, 3)),
                explicit=draw(st.booleans()),
            )
        words.append(made)
    return words


def permits(words: list[Word], at: datetime) -> bool:
    facts = Facts(known=True, restricted=False, blocked=False, objected=False, consent=fold(words))
    return decide(RULE, facts, at).permit


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_no_order_of_arrival_changes_what_stands(words: list[Word], random: object) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives its own Random
    for at in (None, after(1), after(4)):
        assert standing(shuffled, at=at) == standing(words, at=at)
        assert standing(shuffled, known_at=at) == standing(words, known_at=at)


@given(histories(), st.integers(0, 6))
@settings(max_examples=150, deadline=None)
def test_no_history_ends_in_a_permit_without_a_grant_that_covers_it(
    words: list[Word], day: int
) -> None:
    at = after(day)
    if permits(words, at):
        covering = [
            each.fact
            for each in words
            if each.fact.action in YES
            and each.fact.at <= at
            and each.fact.expires_at is not None
            and at < each.fact.expires_at
            and each.fact.notice_version >= RULE.last_material_version
            and each.fact.explicit
        ]
        assert covering
        latest = max(each.at for each in covering)
        noes = set(ConsentAction) - YES - {ConsentAction.REQUESTED, ConsentAction.EXPIRED}
        assert not any(e.fact.action in noes and e.fact.at >= latest for e in words)


@given(histories(), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_a_withdrawal_at_an_instant_denies_at_it_whatever_came_before(
    words: list[Word], day: int
) -> None:
    before = [each for each in words if each.fact.at <= after(day)]
    withdrawn = word("withdrawal", ConsentAction.WITHDRAWN, day)
    assert not permits([*before, withdrawn], after(day))


@pytest.mark.parametrize("late", [ConsentAction.GIVEN, ConsentAction.RENEWED])
def test_a_consent_that_arrives_late_overrules_no_later_withdrawal(late: ConsentAction) -> None:
    withdrawn = word("w", ConsentAction.WITHDRAWN, 5)
    imported = word("i", late, 1, recorded=9)
    assert standing([withdrawn, imported]) == withdrawn
    assert standing([withdrawn, imported], at=after(3)) == imported  # with today's knowledge
    assert standing([withdrawn, imported], at=after(3), known_at=after(3)) is None


def test_a_request_moves_nothing() -> None:
    asked = word("a", ConsentAction.REQUESTED, 5)
    assert standing([asked]) is None
    given_ = word("g", ConsentAction.GIVEN, 1)
    assert standing([given_, asked]) == given_


def test_the_end_of_one_term_ends_no_other_consent() -> None:
    first = word("first", ConsentAction.GIVEN, 0, end=3)
    ended = word("ended", ConsentAction.EXPIRED, 3, recorded=4, follows="first")
    assert standing([ended, first]) == ended
    between = word("between", ConsentAction.GIVEN, 2, recorded=6)
    assert standing([ended, between, first]) == between
    # Of another system's, which names nothing, the safer reading is taken.
    foreign = word("foreign", ConsentAction.EXPIRED, 3)
    assert standing([foreign, between, first]) == foreign


def test_what_is_said_now_counts_although_a_clock_went_back() -> None:
    stood = word("g", ConsentAction.GIVEN, 5).fact
    refused = word("n", ConsentAction.REFUSED, 5).fact
    now = after(3)
    assert live_at(ConsentAction.WITHDRAWN, now, stood) == stood.at
    assert live_at(ConsentAction.GIVEN, now, refused) > refused.at
    assert live_at(ConsentAction.GIVEN, now, None) == now
    assert live_at(ConsentAction.WITHDRAWN, after(9), stood) == after(9)


class Life:
    """One person and purpose, step by step, as `Speaking` records what is said; a day a step."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.objections: list[Objected] = []
        self.day = 0

    @property
    def is_objected(self) -> bool:
        return bool(self.objections) and self.objections[-1].until is None

    def _say(self, action: ConsentAction, day: int) -> None:
        name = f"e{len(self.words)}"
        self.words.append(word(name, action, day, recorded=self.day))

    def _end_covered(self) -> None:
        stands = standing(self.words)
        over = objected_over(stands, self.objections) if stands else None
        if over is not None:
            self._say(ConsentAction.WITHDRAWN, (over - START).days)

    def consent(self) -> None:
        self._over()
        self._say(ConsentAction.GIVEN, self.day)

    def learn_of_a_consent(self, days_ago: int) -> None:
        self._say(ConsentAction.GIVEN, max(self.day - days_ago, 0))
        self._end_covered()

    def refuse(self) -> None:
        self._say(ConsentAction.REFUSED, self.day)

    def object(self) -> None:
        if not self.is_objected:
            if (stands := standing(self.words)) and is_yes(stands.fact.action):
                self._say(ConsentAction.WITHDRAWN, self.day)
            self.objections.append(Objected(after(self.day)))

    def lift(self) -> None:
        self._end_covered()
        self._over()

    def _over(self) -> None:
        if self.is_objected:
            self.objections[-1] = Objected(self.objections[-1].since, after(self.day))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["consent", "learn_of_a_consent", "learn_of_a_consent", "refuse", "object", "lift"]
            ),
            st.integers(0, 6),
        ),
        max_size=9,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_lifting_an_objection_never_revives_a_consent_that_was_said_before_it(
    steps: list[tuple[str, int]], random: object
) -> None:
    life = Life()
    for name, days_ago in steps:
        life.day += 1
        if name == "learn_of_a_consent":
            life.learn_of_a_consent(days_ago)
        else:
            getattr(life, name)()
        shuffled = list(life.words)
        random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives its own Random
        stands = standing(shuffled)
        assert stands == standing(life.words)
        if stands is None or not is_yes(stands.fact.action):
            continue
        assert not life.is_objected
        assert all(each.until and stands.fact.at >= each.until for each in life.objections)


def test_a_consent_ends_with_the_objection_that_came_after_it_or_at_once_within_one() -> None:
    objections = [Objected(after(3), after(6)), Objected(after(8))]
    assert objected_over(word("a", ConsentAction.GIVEN, 1), objections) == after(3)
    assert objected_over(word("b", ConsentAction.GIVEN, 4), objections) == after(4)
    assert objected_over(word("c", ConsentAction.GIVEN, 6), objections) == after(8)
    assert objected_over(word("c", ConsentAction.GIVEN, 6), objections[:1]) is None
    assert objected_over(word("d", ConsentAction.REFUSED, 1), objections) is None
