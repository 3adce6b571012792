"""The example shop as its operators run it: a process of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import demo
from tests.support.processes import free_port, program

SCOPES = demo.SHOP_SCOPES
PURPOSES = demo.SHOP_PURPOSES


def client_options(url: str) -> list[str]:
    """Return the options of `placet client add` for a shop at this address."""
    named = [
        ("--redirect-uri", [f"{url}/callback"]),
        ("--purpose", PURPOSES),
        ("--scope", SCOPES),
    ]
    return [part for option, values in named for value in values for part in (option, value)]


def shop_address() -> str:
    """Return an address where a shop can be started."""
    return f"http://localhost:{free_port()}"


@contextmanager
def shop(url: str, issuer: str, client: Mapping[str, Any], folder: Path) -> Iterator[None]:
    """Run the shop at `url` until the block is left.

    Args:
        url: from `shop_address`.
        issuer: the provider's address.
        client: what `placet client add --json` printed.
        folder: keeps its purchases and its log.
    """
    credentials = demo.Shop(
        client_id=str(client["client_id"]),
        client_secret=str(client["client_secret"]),
        secret_key="a key of the tests",
    )
    with program(
        demo.shop_command(int(url.rsplit(":", 1)[1])),
        log=folder / "shop.log",
        env=credentials.environment(issuer=issuer, url=url, instance=folder),
        ready_url=url,
    ):
        yield
