"""`placet deadline`: until when a request received that day must be answered."""

from __future__ import annotations

import json
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from policies.deadlines import EXTENDED_MONTHS, REPLY_MONTHS, reply_deadline
from privacy.clock import rfc3339
from privacy.rights.calendar import holidays_of


@click.command()
@click.argument("received", type=click.DateTime(["%Y-%m-%d"]))
@click.option(
    "--region", default="ES", show_default=True, help="ISO 3166-2 code whose holidays count."
)
@click.option("--zone", default="Europe/Madrid", show_default=True, help="IANA time zone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def deadline(received: datetime, region: str, zone: str, as_json: bool) -> None:
    """Print until when a request RECEIVED that day (YYYY-MM-DD) must be answered.

    Nominal is the same day number one and three months on; effective is that day or the next
    working one, the last in law; the end is the first instant at which an answer is late.
    """
    try:
        tz, holidays = ZoneInfo(zone), holidays_of(region)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise click.BadParameter(str(error)) from None
    noon = datetime.combine(received.date(), time(12), tzinfo=tz)
    answer = {"received": received.date().isoformat(), "region": region, "time_zone": zone}
    for months in (REPLY_MONTHS, EXTENDED_MONTHS):
        due = reply_deadline(noon, months=months, zone=tz, holidays=holidays)
        answer[f"nominal_{months}m"] = due.nominal.isoformat()
        answer[f"effective_{months}m"] = due.effective.isoformat()
        answer[f"ends_at_{months}m"] = rfc3339(due.ends_at)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for name, value in answer.items():
        click.echo(f"{name:13} {value}")
