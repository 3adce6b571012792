"""The browser behind a request, as it shows itself and as people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from privacy.network import parse_address

_SHOWN_PREFIX: Final = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Client:
    """The browser as it shows itself.

    Attributes:
        address: network address as we trust it, or None.
        user_agent: what the browser says of itself; shown, never believed.
    """

    address: str | None
    user_agent: str


_BROWSERS: Final = (  # the first that is named: most name others too
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def short_user_agent(user_agent: str) -> str:
    """Return browser and system by name, `Firefox, Linux`; empty where neither is known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (browser, system) if part)


def short_address(address: str | None) -> str:
    """Return the network an address lies in: IPv4 /24, IPv6 /48; empty where there is none."""
    ip = parse_address(address)
    if ip is None:
        return ""
    return str(ip_network((ip, _SHOWN_PREFIX[ip.version]), strict=False))
