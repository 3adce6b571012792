"""`placet register diff`: what another register would change, before it is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from policies.register.difference import Difference
from policies.register.loader import load
from policies.register.model import Register
from policies.register.problems import RegisterError
from policies.vocabulary import DecisionReason
from privacy.decisions.whatif import WhatIf, what_if
from privacy.unit_of_work import Runtime

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def diff_command(open_runtime: Callable[[], Runtime]) -> click.Command:
    """Return the command; `open_runtime` opens the deployment whose people are counted."""

    @click.command("diff")
    @click.argument("old", type=FOLDER)
    @click.argument("new", type=FOLDER)
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def command(old: Path, new: Path, as_json: bool) -> None:
        """Say what NEW changes against OLD, and how many people lose or gain a permit by it.

        OLD as it is in force; NEW as if its draft notices were published today. People are those
        of this deployment, counted now; nothing is changed.
        """
        before, after = _load(old), _load(new)
        runtime = open_runtime()
        with runtime.snapshot() as session:
            found = what_if(session, before, after, runtime.clock())
        if as_json:
            click.echo(json.dumps(plain(found), ensure_ascii=False, indent=2))
            return
        for each in found.differences:
            click.echo(_line(each))
            for change in each.fields:
                click.echo(f"    {change.field}: {_shown(change.before)} -> {_shown(change.after)}")
        for unit in found.units:
            lost, gained = sum(unit.lost.values()), sum(unit.gained.values())
            click.echo(
                f"{unit.unit}: {unit.before} people now, {unit.after} then; "
                f"{lost} lose the permit{_by(unit.lost)}, {gained} gain it{_by(unit.gained)}"
            )
        if not found.differences:
            click.echo("the two registers are alike")

    return command


def plain(found: WhatIf) -> dict[str, Any]:
    """The answer in the types that JSON knows."""
    return {
        "old": found.old,
        "new": found.new,
        "differences": [
            {
                "part": each.part,
                "entry": each.entry,
                "change": each.kind.value,
                "fields": [
                    {"field": field.field, "before": field.before, "after": field.after}
                    for field in each.fields
                ],
            }
            for each in found.differences
        ],
        "units": [
            {
                "unit": each.unit,
                "before": each.before,
                "after": each.after,
                "lost": {reason.value: people for reason, people in each.lost.items()},
                "gained": {reason.value: people for reason, people in each.gained.items()},
            }
            for each in found.units
        ],
    }


def _load(folder: Path) -> Register:
    try:
        return load(folder)
    except RegisterError as error:
        raise click.ClickException(f"{folder}: the register is refused:\n{error}") from None


def _line(each: Difference) -> str:
    entry = f" [{each.entry}]" if each.entry else ""
    return f"{each.part}{entry} {each.kind.value}"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _by(reasons: Mapping[DecisionReason, int]) -> str:
    told = ", ".join(f"{reason.value} {people}" for reason, people in reasons.items())
    return f" ({told})" if told else ""
