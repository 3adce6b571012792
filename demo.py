"""`placet demo`: Placet, its worker and the example shop on this machine, ready to be tried."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.accounts.model import AccountStatus
from identity.accounts.service import Accounts
from identity.accounts.store import AccountRow
from identity.provider.client_settings import ClientSettings
from identity.provider.clients import Clients
from identity.provider.model import Client
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from privacy.ids import new_token, secret_digest
from privacy.secret_files import write_secret_file
from privacy.settings import Settings
from privacy.unit_of_work import Runtime

SHOP_FOLDER = Path(__file__).resolve().parent / "examples" / "shop"
SHOP_NAME = "Olivar y Sal"
SHOP_PURPOSES = ("newsletter", "recommendations", "analytics")
SHOP_SCOPES = ("openid", "decisions:evaluate", "consents:read", "purposes:read")
PROBE_SECONDS = 1


class DemoRefused(Exception):
    """The demo cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The example shop as a client of this Placet."""

    client_id: str
    client_secret: str = field(repr=False)
    secret_key: str = field(repr=False)

    def environment(self, *, issuer: str, url: str, instance: Path) -> dict[str, str]:
        """Return the shop's settings."""
        return {
            "SHOP_ISSUER": issuer,
            "SHOP_BASE_URL": url,
            "SHOP_CLIENT_ID": self.client_id,
            "SHOP_CLIENT_SECRET": self.client_secret,
            "SHOP_SECRET_KEY": self.secret_key,
            "SHOP_DATABASE": str(instance / "shop.sqlite3"),
        }


def environment(configured: Settings, environ: Mapping[str, str], port: int) -> dict[str, str]:
    """Return the environment of the demo's processes.

    Raises:
        DemoRefused: this deployment is for real people, whose mail the demo would show to anyone.
    """
    if configured.https:
        raise DemoRefused(
            f"{configured.instance} serves real people at {configured.base_url}; "
            "set PLACET_INSTANCE to another folder for the demo"
        )
    return {**environ, "PLACET_DEMO": "true", "PLACET_BASE_URL": f"http://localhost:{port}"}


def demand_free(port: int, option: str) -> None:
    """Return where nobody listens on the loopback port.

    The web server itself would share a port with another one and not notice.

    Raises:
        DemoRefused: somebody does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoRefused(
                f"port {port} cannot be used ({error.strerror}); stop what uses it, "
                f"or choose another one with {option}"
            ) from None


def open_shop(runtime: Runtime, clients: Clients, instance: Path, url: str) -> Shop:
    """Return the shop's credentials, registering it where that has not happened yet.

    Args:
        runtime: the deployment's.
        clients: its applications.
        instance: where `shop.json` is kept, readable by its owner alone.
        url: the shop's address.
    """
    kept, callback = instance / "shop.json", f"{url}/callback"
    if kept.exists():
        shop = Shop(**json.loads(kept.read_text(encoding="utf-8")))
        with runtime.snapshot() as session:
            client = clients.find(session, shop.client_id, at=runtime.clock())
        if client is not None and _fits(client, shop, callback):
            return shop
        kept.unlink()  # it belongs to another database, or the shop has moved
    settings = ClientSettings(
        name=SHOP_NAME, redirect_uris=(callback,), scopes=SHOP_SCOPES, purposes=SHOP_PURPOSES
    )
    with runtime.unit_of_work(SYSTEM) as uow:
        added, secret = clients.add(uow, settings)
    values = {
        "client_id": added.client_id,
        "client_secret": secret or "",
        "secret_key": new_token(runtime.ids),
    }
    write_secret_file(kept, json.dumps(values, indent=2).encode())
    return Shop(**values)


def _fits(client: Client, shop: Shop, callback: str) -> bool:
    return (
        client.disabled_at is None
        and callback in client.redirect_uris
        and client.has_secret(secret_digest(shop.client_secret))
    )


def shop_command(port: int) -> list[str]:
    """Return the command of the shop's web server."""
    options = {
        "--interface": "wsgi",
        "--working-dir": str(SHOP_FOLDER),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--blocking-threads": "4",
        "--log-level": "warning",
    }
    flags = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "granian", "--factory", "shop:create_app", "--no-ws", *flags]


def invite_first_dpo(runtime: Runtime, base_url: str) -> str | None:
    """Return a one-time address that opens the first DPO account; None where there is one."""
    with runtime.snapshot() as session:
        if _has_dpo(session):
            return None
    with runtime.unit_of_work(SYSTEM) as uow:
        token = Accounts.invite(uow, Role.DPO)
    return f"{base_url}/invitation/{token}"


def _has_dpo(session: Session) -> bool:
    account = sa.select(AccountRow.account_id).where(
        AccountRow.role == Role.DPO.value, AccountRow.status == AccountStatus.ACTIVE.value
    )
    return session.scalars(account.limit(1)).first() is not None


def answers(url: str) -> bool:
    """Tell whether a server at this address answers, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError as refusal:
        with refusal:
            return True
    except OSError:
        return False


def welcome(base_url: str, shop_url: str, invitation: str | None) -> str:
    """Return what the demo prints when everything answers."""
    lines = [
        "",
        "Placet is running. Nothing here is for real people.",
        "",
        f"  Portal    {base_url}",
        f"  Shop      {shop_url}",
        f"  Mailbox   {base_url}/dev/mailbox",
        f"  API       {base_url}/docs",
        "",
    ]
    if invitation:
        lines += ["Open the first DPO account, once and within a day:", "", f"  {invitation}", ""]
    return "\n".join([*lines, "Ctrl-C stops everything."])
