"""The mark that a request comes back with: for which request, in whose session, and how long."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from identity.provider.detours import MARKER, Detour, Detours
from privacy.actor import ANONYMOUS, Actor, ActorKind
from tests.support.world import FixedClock

REQUEST = {"client_id": ["c"], "state": ["s"], "scope": ["openid"]}
PUSHED = {"client_id": ["c"], "request_uri": ["urn:ietf:params:oauth:request_uri:x"]}
ANA = Actor(
    kind=ActorKind.PERSON, account_id="a" * 32, session_id="1" * 64, session_family="f" * 32
)
ASKED, ANSWERED = (
    (Detour.LOGIN, Detour.STEP_UP),
    (Detour.SELECT, Detour.CONSENT, Detour.REFUSED),
)


@dataclass
class Stage:
    """A browser that comes and goes, and whoever sits at it."""

    clock: FixedClock = field(default_factory=FixedClock)
    person: Actor = ANA
    browser: str = "a browser"

    @property
    def detours(self) -> Detours:
        return Detours(b"k" * 32, self.clock, lambda: self.browser, lambda: self.person)

    def away(
        self, *detours: Detour, request: dict[str, list[str]] = REQUEST
    ) -> dict[str, list[str]]:
        for each in detours:
            request = self.detours.away(request, each, self.clock())
        return request


@pytest.mark.parametrize("detour", Detour)
def test_a_mark_counts_for_ten_minutes_and_tells_when_it_was_made(detour: Detour) -> None:
    stage = Stage()
    made, back = stage.clock(), stage.away(detour)
    assert {name: back[name] for name in REQUEST} == REQUEST
    stage.clock.advance(minutes=10, microseconds=-1)
    assert stage.detours.done(back) == {detour: made}
    stage.clock.advance(microseconds=1)
    assert stage.detours.done(back) == {}


def test_marks_stand_beside_each_other_until_each_runs_out() -> None:
    stage = Stage()
    back = stage.away(Detour.LOGIN)
    stage.clock.advance(minutes=6)
    back = stage.away(Detour.CONSENT, request=back)
    assert len(back[MARKER]) == 1
    assert set(stage.detours.done(back)) == {Detour.LOGIN, Detour.CONSENT}
    stage.clock.advance(minutes=5)
    assert set(stage.detours.done(back)) == {Detour.CONSENT}


@pytest.mark.parametrize(
    "change",
    [{"state": ["t"]}, {"state": ["s", "s"]}, {"nonce": ["n"]}, {"scope": ["openid profile"]}],
    ids=str,
)
def test_a_mark_counts_for_no_other_request(change: dict[str, list[str]]) -> None:
    stage = Stage()
    assert stage.detours.done({**stage.away(Detour.CONSENT), **change}) == {}


def test_a_forged_mark_or_one_under_another_key_counts_for_nothing() -> None:
    stage = Stage()
    back = stage.away(Detour.CONSENT)
    [mark] = back[MARKER]
    for forged in ("", "x", mark[:-2] + ("AA" if mark[-2:] != "AA" else "BB"), mark.swapcase()):
        assert stage.detours.done({**back, MARKER: [forged]}) == {}
    assert stage.detours.done({**back, MARKER: [mark, mark]}) == {}
    other = Detours(b"o" * 32, stage.clock, lambda: "a browser", lambda: ANA)
    assert other.done(back) == {}


@pytest.mark.parametrize(
    "other",
    [
        replace(ANA, session_family="0" * 32),
        replace(ANA, account_id="b" * 32),
        ANONYMOUS,
    ],
    ids=["another session", "another account", "nobody"],
)
def test_what_a_person_answered_counts_in_their_own_session_alone(other: Actor) -> None:
    stage = Stage()
    back = stage.away(*ASKED, *ANSWERED)
    stage.person = other
    assert set(stage.detours.done(back)) == set(ASKED)
    # And what others said does not slip into a mark of one's own.
    again = stage.away(Detour.SELECT, request=back)
    assert set(stage.detours.done(again)) == {*ASKED, Detour.SELECT}


def test_that_a_person_was_asked_counts_in_the_same_browser_alone() -> None:
    stage = Stage()
    back = stage.away(*ASKED)
    stage.browser = "another"
    assert stage.detours.done(back) == {}


def test_an_answer_outlives_a_new_secret_id_of_the_same_session() -> None:
    stage = Stage()
    back = stage.away(*ANSWERED)
    stage.person = replace(ANA, session_id="2" * 64)
    assert set(stage.detours.done(back)) == set(ANSWERED)


def test_the_language_that_a_person_picks_on_the_way_changes_no_mark() -> None:
    stage = Stage()
    back = stage.away(Detour.LOGIN)
    assert stage.detours.done({**back, "lang": ["en"]})
    assert "lang" not in stage.away(Detour.LOGIN, request={**back, "lang": ["en"]})


def test_of_a_pushed_request_only_its_name_and_the_client_count() -> None:
    stage = Stage()
    back = stage.away(Detour.CONSENT, request={**PUSHED, "scope": ["openid"], "x": ["1"]})
    assert {name: value for name, value in back.items() if name != MARKER} == PUSHED
    assert stage.detours.done({**back, "scope": ["openid profile"]})
    assert not stage.detours.done({**back, "client_id": ["d"]})
    assert stage.clock() + timedelta(0) == stage.detours.done(back)[Detour.CONSENT]
