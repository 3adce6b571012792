"""Global Privacy Control as an objection by automated means, recorded once a change.

The signal objects to every unit that the register marks with `gpc`. What the person then consents
to expressly prevails, until the signal goes off and on again; going off lifts nothing, for nobody
said yes. So the signal is taken at once, always, and only its end ever waits: an application that
tells on and off again and again writes two entries an hour, unless the person consents in between,
when the next signal is an objection again. Source: GDPR Art. 21(5); W3C Global Privacy Control (draft).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil

from sqlalchemy.orm import Session

from policies.errors import TooManyAttempts
from policies.vocabulary import ConsentChannel
from privacy.clock import rfc3339
from privacy.consent import signal_store as store
from privacy.consent.model import may_object
from privacy.consent.service import Consents
from privacy.consent.signal_model import HELD_FOR, PORTAL, Change, Signal, SignalChanged
from privacy.events import Json
from privacy.unit_of_work import UnitOfWork

UNCHANGED = Change(changed=False)


class Signals:
    """The browser signals of this deployment's people."""

    #: What this source of personal data is called in an access file.
    name = "browser_signals"

    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    @property
    def units(self) -> list[str]:
        """The units of the register to which the signal objects, in its order."""
        purposes = self._consents.register.purposes.values()
        return [each.id for each in purposes if each.gpc and may_object(each)]

    @staticmethod
    def is_on(session: Session, subject_id: str, source: str) -> bool:
        """Tell whether the source's last word on the person was the signal."""
        row = store.row_of(session, subject_id, source)
        return row is not None and row.on

    @staticmethod
    def of_person(session: Session, subject_id: str) -> list[Signal]:
        """Return what every source said last of a person, oldest first."""
        return [Signal(row.source, row.on, row.since) for row in store.rows_of(session, subject_id)]

    def note(self, uow: UnitOfWork, subject_id: str, source: str, *, on: bool) -> Change:
        """Note a signal; joins the caller's transaction, and writes nothing where it is no change.

        Args:
            uow: the caller's unit of work.
            subject_id: the person.
            source: `PORTAL`, or the application's client id.
            on: whether the browser sends it.

        Raises:
            NotFound: there is no such person.
            TooManyAttempts: an application tells the end of a signal that it has just told, and
                the next one would be an objection to nothing new.
        """
        person = self._consents.hold(uow, subject_id)
        row = store.row_of(uow.session, person, source)
        if (row is not None and row.on) == on:
            return UNCHANGED
        if row is not None and not on and source != PORTAL:
            self._check_held(uow, row)
        entry_id = uow.record(
            SignalChanged(subject_id=person), {"source": source, "signal": "gpc", "on": on}
        )
        if row is None:
            row = store.SignalRow(subject_id=person, source=source)
            uow.session.add(row)
        row.on, row.since, row.entry_id = on, uow.now, entry_id
        uow.session.flush()
        if not on:
            return Change(changed=True)
        objected = self._open(uow, person)
        for unit in objected:
            self._consents.object_to(uow, person, unit, channel=ConsentChannel.BROWSER_SIGNAL)
        return Change(changed=True, objected=tuple(objected))

    def _check_held(self, uow: UnitOfWork, row: store.SignalRow) -> None:
        left = row.since + HELD_FOR - uow.now
        if left > timedelta(0) and not self._open(uow, row.subject_id):
            raise TooManyAttempts(
                "the signal was told within the hour, and its end would change nothing yet",
                retry_after_seconds=ceil(left.total_seconds()),
            )

    def _open(self, uow: UnitOfWork, person: str) -> list[str]:
        """Return the units to which the signal objects and the person does not yet."""
        current = self._consents.current(uow.session, person)
        return [unit for unit in self.units if current[unit].objected_since is None]

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return the signals that came of the person. Source: GDPR Art. 15(1)."""
        signals: list[Json] = [
            {"source": each.source, "gpc": each.on, "since": rfc3339(each.since)}
            for each in self.of_person(session, subject_id)
        ]
        return {"signals": signals}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete them; the objections stay with the evidence. Source: GDPR Art. 17(1)."""
        store.delete_signals(uow.session, subject_id)
