"""What decisions read, by prepared statements (`privacy/prepared.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from privacy.consent.model import NOBODY, Sighting, StateUnreadable
from privacy.consent.plain_sightings import Asked, many_plain, one_plain, wanted_plain
from privacy.consent.sightings import many, wanted_of
from privacy.consent.store import SIGHTING_OF_PSEUDONYM, to_sighting
from privacy.prepared import DRIVER_ERRORS, Connections, Prepared
from privacy.pseudonyms.model import domain_of


@dataclass(frozen=True, slots=True)
class Seen:
    """What one read tells.

    Attributes:
        sighting: of the person and the purpose.
        until: UTC, half-open: until when nothing of it changes by the clock alone; None: ever.
    """

    sighting: Sighting
    until: datetime | None


UNSEEN: Final = Seen(NOBODY, None)
Pair = tuple[str, str]
"""(pseudonym, unit)."""
PlainRow = tuple[Any, ...]
"""The question's place, and `plain_sightings.COLUMNS` as the driver gives them."""


class Reader:
    """Reads what decisions need, and nothing else."""

    def __init__(self, connections: Connections) -> None:
        dialect = connections.engine.dialect.name
        self._dialect = dialect
        self._one = Prepared(connections, SIGHTING_OF_PSEUDONYM)
        self._many = Prepared(connections, partial(many, dialect))
        #: Reads an instant as `see_plain` gives it: naive UTC.
        self.instant: Callable[[Any], datetime] = (
            datetime.fromisoformat if dialect == "sqlite" else _as_it_is
        )
        self._one_plain = Prepared(connections, partial(one_plain, dialect))
        self._many_plain = Prepared(connections, partial(many_plain, dialect))

    def see(self, domain: str, pairs: Sequence[Pair], at: datetime) -> Mapping[Pair, Seen]:
        """Return what is known of whom pseudonyms name in a domain, each with a unit.

        Args:
            domain: the pseudonyms' domain.
            pairs: (pseudonym, unit), not too many for one statement.
            at: aware; the instant asked about.

        Returns:
            Nothing where a pseudonym names nobody.

        Raises:
            StateUnreadable: something could not be read whole.
        """
        pairs = [pair for pair in pairs if domain_of(pair[0]) is not None]
        try:
            if len(pairs) == 1:
                [pair] = pairs
                rows = self._one.rows(
                    of_domain=domain, of_value=pair[0], of_purpose=pair[1], of_at=at
                )
                return dict(zip([pair], (_seen(row, at) for row in rows), strict=False))
            if not pairs:
                return {}
            wanted = wanted_of(self._dialect, pairs)
            rows = self._many.rows(of_domain=domain, of_at=at, **wanted)
            return {(row.value, row.of_purpose): _seen(row, at) for row in rows}
        except (TypeError, ValueError, *DRIVER_ERRORS) as error:
            raise StateUnreadable(type(error).__name__) from error

    def see_plain(self, domain: str, asked: Sequence[Asked]) -> Sequence[PlainRow]:
        """Return who of them is plain and what those said last, as `privacy/decisions/plain.py` reads it.

        Args:
            domain: the pseudonyms' domain.
            asked: not too many for one statement, and any strings in it.

        Returns:
            Nothing of whom the pseudonym names nobody; nothing at all where something could not be
            read: `see` then finds out what.
        """
        if len(asked) == 1:
            value, unit, lists = asked[0]
            wanted = {"of_value": value, "of_purpose": unit, "of_lists": lists}
        try:
            if len(asked) == 1:
                rows = self._one_plain.raw(of_domain=domain, **wanted)
                return [(0, *rows[0])] if rows else ()
            return self._many_plain.raw(of_domain=domain, **wanted_plain(self._dialect, asked))
        except (ValueError, *DRIVER_ERRORS):
            return ()


def _seen(row: Any, at: datetime) -> Seen:  # noqa: ANN401 - a row of either statement
    # Whatever the clock decides is an instant that was read: the next one ends what holds now.
    later = [each for each in row if isinstance(each, datetime) and each > at]
    return Seen(to_sighting(row) or NOBODY, min(later, default=None))


def _as_it_is(instant: datetime) -> datetime:
    return instant
