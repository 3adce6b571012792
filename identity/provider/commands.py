"""`placet client`: the operator's way to keep the applications."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from identity.provider.client_authentication import is_client_id
from identity.provider.client_keys import thumbprints
from identity.provider.client_options import EMPTY, as_json, given, settings_options
from identity.provider.client_settings import ClientSettings
from identity.provider.clients import Clients, ClientSecret
from identity.provider.logout_model import LogoutResult
from identity.provider.model import Client
from policies.errors import DomainError, NotFound
from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.unit_of_work import Runtime

#: What became of the last sign-out messages to a client: database, client id, how many at most.
Results = Callable[[Session, str, int], Sequence[LogoutResult]]
Deployment = Callable[[], tuple[Runtime, Clients, Results]]

overlap = click.option(
    "--overlap-hours",
    type=click.IntRange(0, 24 * 30),
    default=24,
    show_default=True,
    help="How long the old secret goes on working.",
)


def group(deployment: Deployment) -> click.Group:
    """Return the commands; `deployment` is called when one runs."""

    @click.group()
    def client() -> None:
        """Applications that may sign people in and call the API: docs/provider.md."""

    @client.command()
    @click.argument("name")
    @click.option("--sector", default="", help="Share pseudonyms with the clients of this sector.")
    @settings_options
    @as_json
    def add(name: str, sector: str, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - Click's
        """Add an application and print its id and its secret, which is shown this once."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            settings = ClientSettings(name=name, sector=sector, **given(options))
            added, secret = clients.add(uow, settings)
        _print({**_public(added), "client_secret": secret}, as_json=as_json)

    @client.command("list")
    @as_json
    def list_(*, as_json: bool) -> None:
        """List the applications, oldest first."""
        runtime, clients, _ = deployment()
        with runtime.snapshot() as session:
            found = clients.all(session)
        if as_json:
            click.echo(json.dumps([_public(each) for each in found], indent=2))
            return
        for each in found:
            state = "disabled" if each.disabled_at else "in use"
            click.echo(f"{each.client_id}  {state:8}  {each.name}")

    @client.command()
    @click.argument("client_id")
    @as_json
    def show(client_id: str, *, as_json: bool) -> None:
        """Show an application's settings and how many people are connected with it."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.snapshot() as session:
            found = _found(clients, session, client_id, runtime)
            people = clients.people(session, client_id)
        _print({**_public(found), "people": people}, as_json=as_json)

    @client.command()
    @click.argument("client_id")
    @click.option("--name", help="What people and operators call it.")
    @settings_options
    @click.option(
        "--clear",
        multiple=True,
        type=click.Choice([name.replace("_", "-") for name in EMPTY]),
        help="Empty a setting. May be repeated.",
    )
    @as_json
    def change(client_id: str, *, clear: tuple[str, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401 - Click's
        """Change the settings that are named; a list replaces the whole list."""
        runtime, clients, _ = deployment()
        emptied = {name: EMPTY[name] for name in (each.replace("-", "_") for each in clear)}
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            found = _found(clients, uow.session, client_id, runtime)
            settings = replace(ClientSettings.of(found), **{**emptied, **given(options)})
            changed = clients.change(uow, client_id, settings)
        _print(_public(changed), as_json=as_json)

    _add_secrets(client, deployment)
    _add_state(client, deployment)
    return client


def _add_secrets(client: click.Group, deployment: Deployment) -> None:
    @client.command("rotate-secret")
    @click.argument("client_id")
    @overlap
    @as_json
    def rotate_secret(client_id: str, overlap_hours: int, *, as_json: bool) -> None:
        """Give an application a new secret and print it, this once."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            secret = clients.rotate_secret(uow, client_id, timedelta(hours=overlap_hours))
        _print({"client_id": client_id, "client_secret": secret}, as_json=as_json)

    @client.command()
    @click.argument("client_id")
    @as_json
    def secrets(client_id: str, *, as_json: bool) -> None:
        """List an application's secrets, the newest first: fingerprints and times, no values.

        A fingerprint is the first eight digits of the secret's SHA-256.
        """
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.snapshot() as session:
            _found(clients, session, client_id, runtime)
            found = clients.secrets(session, client_id)
        _print_list([_secret(each) for each in found], as_json=as_json)

    @client.command("retire-secret")
    @click.argument("client_id")
    @click.option("--fingerprint", help="Which one.  [default: all but the newest]")
    @as_json
    def retire_secret(client_id: str, fingerprint: str | None, *, as_json: bool) -> None:
        """End secrets at once: the one named, or all but the newest."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            retired = clients.retire_secrets(uow, client_id, fingerprint)
        _print_list([_secret(each) for each in retired], as_json=as_json)


def _add_state(client: click.Group, deployment: Deployment) -> None:
    @client.command()
    @click.argument("client_id")
    @as_json
    def disable(client_id: str, *, as_json: bool) -> None:
        """Refuse an application from now on, and end all of its tokens for good."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            clients.disable(uow, client_id)
        _print_state(client_id, "disabled", as_json=as_json)

    @client.command()
    @click.argument("client_id")
    @as_json
    def enable(client_id: str, *, as_json: bool) -> None:
        """Let a disabled application in again; its old tokens stay ended."""
        runtime, clients, _ = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            clients.enable(uow, client_id)
        _print_state(client_id, "enabled", as_json=as_json)

    @client.command()
    @click.argument("client_id")
    @click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
    @as_json
    def logouts(client_id: str, limit: int, *, as_json: bool) -> None:
        """List what became of the last sign-out messages to an application, the newest first."""
        runtime, clients, results = deployment()
        with _refusals_in_words(), runtime.snapshot() as session:
            _found(clients, session, client_id, runtime)
            found = results(session, client_id, limit)
        _print_list([_logout(each) for each in found], as_json=as_json)


@contextmanager
def _refusals_in_words() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        named = f"{error.field}: " if error.field else ""
        raise click.ClickException(named + error.detail) from None


def _found(clients: Clients, session: Session, client_id: str, runtime: Runtime) -> Client:
    known = is_client_id(client_id)
    found = clients.find(session, client_id, at=runtime.clock()) if known else None
    if found is None:
        raise NotFound("there is no such client")
    return found


def _public(client: Client) -> dict[str, Json]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "grant_types": [*sorted(client.grant_types)],
        "scopes": [*sorted(client.scopes)],
        "purposes": [*sorted(client.purposes)],
        "sector": client.sector,
        "require_pkce": client.require_pkce,
        "require_par": client.require_par,
        "token_format": client.token_format.value,
        "audiences": list(client.audiences),
        "auth_methods": [*sorted(client.auth_methods)],
        "jwks_thumbprints": [*thumbprints(client.jwks)] if client.jwks else [],
        "backchannel_logout_uri": client.backchannel_logout_uri,
        "ends_with_withdrawal": client.ends_with_withdrawal,
        "created_at": rfc3339(client.created_at),
        "disabled_at": rfc3339(client.disabled_at) if client.disabled_at else None,
    }


def _secret(secret: ClientSecret) -> dict[str, Json]:
    return {
        "fingerprint": secret.fingerprint,
        "created_at": rfc3339(secret.created_at),
        "retired_at": rfc3339(secret.retired_at) if secret.retired_at else None,
    }


def _logout(result: LogoutResult) -> dict[str, Json]:
    return {
        "state": result.state,
        "cause": result.cause,
        "attempts": result.attempts,
        "last_result": result.last_result,
        "created_at": rfc3339(result.created_at),
        "ended_at": rfc3339(result.ended_at) if result.ended_at else None,
    }


def _print(values: dict[str, Json], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        click.echo(f"{name}: {' '.join(map(str, value)) if isinstance(value, list) else value}")


def _print_list(rows: Sequence[dict[str, Json]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo("  ".join(str(value) if value is not None else "-" for value in row.values()))


def _print_state(client_id: str, state: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"client_id": client_id, "state": state}, indent=2))
    else:
        click.echo(f"{client_id} is {state}")
