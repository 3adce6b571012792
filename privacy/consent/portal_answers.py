"""What a person's buttons do: an event or an objection for each purpose that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from policies.register.model import Purpose
from policies.vocabulary import ConsentChannel
from privacy.consent.model import Status, purpose_rule, status_of
from privacy.consent.service import Consents
from privacy.unit_of_work import UnitOfWork


def answer(
    consents: Consents,
    uow: UnitOfWork,
    subject_id: str,
    purpose: Purpose,
    form: dict[str, Any],
) -> None:
    """Do what one purpose's button says, and commit.

    Raises:
        StaleNotice, GuardianNeeded, NothingToWithdraw, NotByConsent, NotOpenToObjection: nothing
            is recorded.
    """
    version, language, channel = form["notice_version"], form["language"], ConsentChannel.WEB
    match form["action"]:
        case "grant":
            consents.give(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
                explicit=True,  # the button of this one purpose, beside its notice
            )
        case "refuse":
            consents.refuse(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
            )
        case "withdraw":
            consents.withdraw(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
            )
        case "renew":
            consents.record_given(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
                explicit=True,  # as for `grant`
                renews=True,
            )
            uow.commit()
        case "object":
            consents.object_to(uow, subject_id, purpose.id, channel=channel)
            uow.commit()
        case _:
            consents.lift_objection(uow, subject_id, purpose.id)
            uow.commit()


def answer_for_all(
    consents: Consents,
    uow: UnitOfWork,
    subject_id: str,
    units: Iterable[str],
    form: Mapping[str, Any],
) -> int:
    """Give the same answer for each unit that it changes, and commit; return for how many.

    Raises:
        StaleNotice, GuardianNeeded: nothing is recorded of any.
    """
    states = consents.current(uow.session, subject_id)
    version, language, action = form["notice_version"], form["language"], form["action"]
    changed = 0
    for unit in units:
        status = status_of(states[unit].consent, purpose_rule(consents.register, unit), uow.now)
        has_given = status in (Status.GIVEN, Status.NOTICE_CHANGED)
        if action == "grant" and (status is not Status.GIVEN or states[unit].objected_since):
            consents.record_given(
                uow,
                subject_id,
                unit,
                notice_version=version,
                language=language,
                channel=ConsentChannel.WEB,
            )
        elif action in ("refuse", "withdraw") and has_given:
            consents.record_withdrawn(
                uow,
                subject_id,
                unit,
                notice_version=version,
                language=language,
                channel=ConsentChannel.WEB,
            )
        elif action == "refuse" and status in (Status.NONE, Status.EXPIRED):
            consents.record_refused(
                uow,
                subject_id,
                unit,
                notice_version=version,
                language=language,
                channel=ConsentChannel.WEB,
            )
        else:
            continue
        changed += 1
    if changed:
        uow.commit()
    return changed
