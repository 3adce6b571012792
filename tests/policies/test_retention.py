from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from policies.retention import kept_after_erasure
from policies.vocabulary import RetentionClass

ERASED = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def test_the_profile_ends_with_the_erasure_itself() -> None:
    assert kept_after_erasure(ERASED)[RetentionClass.PROFILE].until == ERASED


@pytest.mark.parametrize(
    ("kind", "until"),
    [
        (RetentionClass.CONSENT_EVIDENCE, datetime(2029, 5, 4, 10, 30, tzinfo=UTC)),
        (RetentionClass.RIGHTS_FILE, datetime(2029, 5, 4, 10, 30, tzinfo=UTC)),
        (RetentionClass.SECURITY_TRAIL, datetime(2027, 5, 4, 10, 30, tzinfo=UTC)),
        (RetentionClass.BLOCKED_CASE, datetime(2029, 5, 4, 10, 30, tzinfo=UTC)),
    ],
)
def test_each_other_class_outlives_it_for_its_own_term(
    kind: RetentionClass, until: datetime
) -> None:
    assert kept_after_erasure(ERASED)[kind].until == until


def test_every_class_has_an_end_and_the_article_that_sets_it() -> None:
    kept = kept_after_erasure(ERASED)

    assert set(kept) == set(RetentionClass)
    assert all("Art. " in keep.article for keep in kept.values())


def test_an_erasure_on_a_leap_day_ends_on_the_last_of_february() -> None:
    kept = kept_after_erasure(datetime(2028, 2, 29, tzinfo=UTC))

    assert kept[RetentionClass.SECURITY_TRAIL].until == datetime(2029, 2, 28, tzinfo=UTC)


def test_the_terms_do_not_depend_on_the_zone_of_the_clock() -> None:
    elsewhere = ERASED.astimezone(timezone(timedelta(hours=-11)))

    kept = kept_after_erasure(elsewhere)

    assert kept == kept_after_erasure(ERASED)
    assert all(keep.until.tzinfo is UTC for keep in kept.values())


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="must carry a time zone"):
        kept_after_erasure(datetime(2026, 5, 4))  # noqa: DTZ001 - what is refused
