"""`placet invite`: a one-time link for somebody who is to work with other people's data."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from identity.accounts.model import PRIVILEGED
from identity.accounts.service import Accounts
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime


def command(deployment: Callable[[], tuple[Runtime, str]]) -> click.Command:
    """Return `placet invite`.

    Args:
        deployment: gives the runtime and the base address when the command runs.
    """

    @click.command("invite")
    @click.argument("role", type=click.Choice(sorted(role.value for role in PRIVILEGED)))
    @click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
    def invite(role: str, as_json: bool) -> None:
        """Print a link that opens an account with ROLE, once and within a day."""
        runtime, base_url = deployment()
        with runtime.unit_of_work(SYSTEM) as uow:
            token = Accounts.invite(uow, Role(role))
        link = f"{base_url}/invitation/{token}"
        click.echo(json.dumps({"role": role, "link": link}) if as_json else link)

    return invite
