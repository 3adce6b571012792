"""`placet account`: what an operator does with one account, found by its exact address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from identity.accounts.model import Account, AccountStatus
from identity.accounts.service import Accounts
from identity.administration.service import Administration
from policies.errors import DomainError, NotFound
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime, UnitOfWork

Deployment = Callable[[], tuple[Runtime, Accounts, Administration]]
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
_REASON = click.option("--reason", required=True, help="Kept sealed with the act.")


def group(deployment: Deployment) -> click.Group:
    """Return the commands; `deployment` is called when one runs.

    The person gets the same letter, and the log the same event, as from `/admin`; the log names
    the system as who did it.
    """

    @click.group()
    def account() -> None:
        """One person's account: disable, enable, end sessions, start a password reset."""

    @account.command()
    @click.argument("email")
    @_REASON
    @_AS_JSON
    def disable(email: str, reason: str, as_json: bool) -> None:
        """Let nobody into the account of EMAIL until it is enabled again."""
        with _acting(deployment, email) as (uow, administration, found):
            administration.disable(uow, found.account_id, reason)
        _say(found, {"status": AccountStatus.DISABLED.value}, as_json=as_json)

    @account.command()
    @click.argument("email")
    @_REASON
    @_AS_JSON
    def enable(email: str, reason: str, as_json: bool) -> None:
        """Let the person of EMAIL in again."""
        with _acting(deployment, email) as (uow, administration, found):
            administration.enable(uow, found.account_id, reason)
        _say(found, {"status": AccountStatus.ACTIVE.value}, as_json=as_json)

    @account.command("end-sessions")
    @click.argument("email", required=False)
    @click.option("--everybody", is_flag=True, help="Of every account instead of one.")
    @_AS_JSON
    def end_sessions(email: str | None, everybody: bool, as_json: bool) -> None:
        """End every session of the account of EMAIL, or of everybody."""
        if (email is None) is not everybody:
            raise click.UsageError("give one EMAIL or --everybody")
        if email is None:
            runtime, _accounts, administration = deployment()
            with runtime.unit_of_work(SYSTEM) as uow:
                ended = administration.end_everybodys_sessions(uow)
            click.echo(
                json.dumps({"sessions_ended": ended}) if as_json else f"sessions ended: {ended}"
            )
            return
        with _acting(deployment, email) as (uow, administration, found):
            count = administration.end_sessions(uow, found.account_id)
        _say(found, {"sessions_ended": count}, as_json=as_json)

    @account.command()
    @click.argument("email")
    @_AS_JSON
    def reset(email: str, as_json: bool) -> None:
        """Mail the person of EMAIL a link to choose another password."""
        with _acting(deployment, email) as (uow, administration, found):
            administration.start_reset(uow, found.account_id)
        _say(found, {"reset": "started"}, as_json=as_json)

    return account


@contextmanager
def _acting(
    deployment: Deployment, email: str
) -> Iterator[tuple[UnitOfWork, Administration, Account]]:
    runtime, accounts, administration = deployment()
    try:
        with runtime.unit_of_work(SYSTEM) as uow:
            found = accounts.at_address(uow.session, email)
            if found is None:
                raise NotFound("no account has this address", field="email")
            yield uow, administration, found
    except DomainError as error:
        named = f"{error.field}: " if error.field else ""
        raise click.ClickException(named + error.detail) from None


def _say(account: Account, done: dict[str, str | int], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"account_id": account.account_id, **done}))
        return
    told = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in done.items())
    click.echo(f"{account.account_id}  {told}")
