"""What counts as one caller on the network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

IPV6_PREFIX_BITS: Final = 64
"""One IPv6 subscriber holds at least this much: counting single addresses would count nothing."""

UNKNOWN: Final = "unknown"


def parse_address(address: str | None) -> IPv4Address | IPv6Address | None:
    """Return a network address, or None where the text is none, as a proxy may send it.

    An IPv4 caller of a socket for both families (`::ffff:192.0.2.1`) is an IPv4 caller, and a
    scope id (`%eth0`) names an interface of ours. Source: RFC 4291 s. 2.5.5.2; RFC 4007 s. 11.
    """
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def network_of(address: str | None) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 of an IPv6 one.

    Source: RFC 6177 s. 2 (a site is given a /64 at the least).
    """
    parsed = parse_address(address)
    if parsed is None:
        return UNKNOWN
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(ip_network((parsed, IPV6_PREFIX_BITS), strict=False))
