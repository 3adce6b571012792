"""`placet client`: the operator's way to add, list, re-key and disable applications."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from identity.provider.model import KNOWN_SCOPES, Client
from identity.provider.service import Clients, ClientSettings
from policies.errors import DomainError
from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.unit_of_work import Runtime

Deployment = Callable[[], tuple[Runtime, Clients]]


def group(deployment: Deployment) -> click.Group:
    """Return the commands; `deployment` is called when one runs."""

    @click.group()
    def client() -> None:
        """Applications that may sign people in and call the API."""

    @client.command()
    @click.argument("name")
    @click.option("--redirect-uri", "redirect_uris", multiple=True, help="May be repeated.")
    @click.option(
        "--post-logout-redirect-uri", "post_logout", multiple=True, help="May be repeated."
    )
    @click.option("--purpose", "purposes", multiple=True, help="Of the register. May be repeated.")
    @click.option(
        "--scope",
        "scopes",
        multiple=True,
        help=f"May be repeated. One of: {', '.join(sorted(KNOWN_SCOPES))}.",
    )
    @click.option("--sector", default="", help="Share pseudonyms with the clients of this sector.")
    @click.option("--without-pkce", is_flag=True, help="Let an old client in that sends no PKCE.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def add(
        name: str,
        redirect_uris: tuple[str, ...],
        post_logout: tuple[str, ...],
        purposes: tuple[str, ...],
        scopes: tuple[str, ...],
        sector: str,
        without_pkce: bool,
        as_json: bool,
    ) -> None:
        """Add an application and print its id and its secret, which is shown this once."""
        runtime, clients = deployment()
        settings = ClientSettings(
            name=name,
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=post_logout,
            scopes=scopes,
            purposes=purposes,
            sector=sector,
            require_pkce=not without_pkce,
        )
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            added, secret = clients.add(uow, settings)
        _print({**_public(added), "client_secret": secret}, as_json=as_json)

    @client.command("list")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def list_(as_json: bool) -> None:
        """List the applications, oldest first."""
        runtime, clients = deployment()
        with runtime.snapshot() as session:
            found = clients.all(session)
        if as_json:
            click.echo(json.dumps([_public(each) for each in found], indent=2))
            return
        for each in found:
            state = "disabled" if each.disabled_at else "in use"
            click.echo(f"{each.client_id}  {state:8}  {each.name}")

    @client.command("rotate-secret")
    @click.argument("client_id")
    @click.option(
        "--overlap-hours",
        type=click.IntRange(0, 24 * 30),
        default=24,
        show_default=True,
        help="How long the old secret goes on working.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def rotate_secret(client_id: str, overlap_hours: int, as_json: bool) -> None:
        """Give an application a new secret and print it, this once."""
        runtime, clients = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            secret = clients.rotate_secret(uow, client_id, timedelta(hours=overlap_hours))
        _print({"client_id": client_id, "client_secret": secret}, as_json=as_json)

    @client.command()
    @click.argument("client_id")
    def disable(client_id: str) -> None:
        """Refuse an application and all of its tokens from now on."""
        runtime, clients = deployment()
        with _refusals_in_words(), runtime.unit_of_work(SYSTEM) as uow:
            clients.disable(uow, client_id)
        click.echo(f"{client_id} is disabled")

    return client


@contextmanager
def _refusals_in_words() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        named = f"{error.field}: " if error.field else ""
        raise click.ClickException(named + error.detail) from None


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
        "created_at": rfc3339(client.created_at),
        "disabled_at": rfc3339(client.disabled_at) if client.disabled_at else None,
    }


def _print(values: dict[str, Json], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        click.echo(f"{name}: {' '.join(map(str, value)) if isinstance(value, list) else value}")
