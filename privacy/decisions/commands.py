"""`placet consent at`: what was permitted with a person's data at a past moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from policies.errors import InvalidInput
from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.decisions.past import Moment, PastDecisions
from privacy.unit_of_work import Runtime


def consent_commands(wired: Callable[[], tuple[Runtime, PastDecisions, str]]) -> click.Group:
    """Return the group of commands about one person's consent.

    Args:
        wired: the deployment: its doors, its past decisions, and the controller's time zone.
    """

    @click.group("consent")
    def group() -> None:
        """Ask about one person's consent."""

    @group.command("at")
    @click.argument("person")
    @click.argument("purpose")
    @click.argument("time")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def at_command(person: str, purpose: str, time: str, as_json: bool) -> None:
        """Say what was permitted at TIME, and which text PERSON had seen.

        PERSON is an e-mail address or a pseudonym, TIME is ISO 8601; without an offset it is the
        controller's local time. The look-up is recorded in the audit log.
        """
        runtime, past, zone = wired()
        try:
            moment_at = datetime.fromisoformat(time)
        except ValueError:
            raise click.BadParameter("write it like 2026-03-03T12:00", param_hint="TIME") from None
        if moment_at.tzinfo is None:
            moment_at = moment_at.replace(tzinfo=ZoneInfo(zone))
        if moment_at > runtime.clock():
            raise click.BadParameter("it is yet to come", param_hint="TIME")
        try:
            with runtime.unit_of_work(SYSTEM) as uow:
                moment = past.look_up(uow, person, purpose, moment_at)
        except InvalidInput as error:
            raise click.BadParameter(str(error), param_hint="PERSON") from None
        if moment is None:
            raise click.ClickException("nobody is known by that address or pseudonym")
        click.echo(
            json.dumps(described(moment), indent=2, ensure_ascii=False)
            if as_json
            else _said(moment)
        )

    return group


def described(moment: Moment) -> dict[str, object]:
    """The moment as JSON: members as in the answers of `/access/v1/evaluation`."""
    return {
        "decision": moment.decision.permit,
        "reasons": [each.value for each in moment.decision.reasons],
        "obligations": [each.type for each in moment.decision.obligations],
        "purpose": moment.unit,
        "at": rfc3339(moment.at),
        "person": moment.subject_id,
        "register_revision": moment.register_revision,
        "evidence_id": moment.evidence_id,
        "notice": None
        if moment.shown is None
        else {
            "id": moment.shown.notice,
            "version": moment.shown.version,
            "digest": moment.shown.digest,
            "language": moment.shown.language,
            "text": moment.shown.text,
        },
        "events": [
            {
                "event_id": each.event_id,
                "action": each.action.value,
                "at": rfc3339(each.at),
                "recorded_at": rfc3339(each.recorded_at or each.at),
                "notice_version": each.notice_version,
                "said_by": each.said_by.value,
                "entry_id": each.entry_id,
            }
            for each in moment.history
        ],
    }


def _said(moment: Moment) -> str:
    lines = [
        f"{'permit' if moment.decision.permit else 'deny'}: "
        + ", ".join(each.value for each in moment.decision.reasons),
        f"evidence: {moment.evidence_id}",
    ]
    lines += [f"{rfc3339(each.at)} {each.action.value} {each.event_id}" for each in moment.history]
    if moment.shown:
        shown = moment.shown
        lines += [f"--- {shown.notice} {shown.version} ({shown.language})", shown.text.rstrip()]
    return "\n".join(lines)
