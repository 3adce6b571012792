"""Calls to addresses that others chose: an application's logout address, a provider's keys, a webhook.

Whoever sets such an address must not reach through us what only we can reach. So the name is resolved
once, every address it has must be a public one, and the connection goes to the very address that was
checked; no second look-up can put another in its place. No redirect is followed, and no proxy and no
`.netrc` is read. The operator lists what lies inside their own network.

Libraries that pin the address leave out a limit for the whole call, which a slow answer needs; with
`http.client` both are short. Source: OWASP ASVS 5.0 13.2.4, 13.2.5, 15.3.2; RFC 6890.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from time import monotonic
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

TIMEOUT_SECONDS: Final = 10.0
MAX_BYTES: Final = 256 * 1024
MAX_URL_LENGTH: Final = 2000
#: Status line, headers and what chunks add, beside the body.
_MAX_FRAME_BYTES: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}

# The standard library's `is_global` lacks these, according to its version.
_NOT_PUBLIC_4: Final = tuple(
    IPv4Network(network)
    for network in ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3")
)
_NOT_PUBLIC_6: Final = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # Teredo, 6to4, books
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
#: Returns every address of a name at a port, as `socket.getaddrinfo` for TCP. Raises `OSError`.
Resolver = Callable[[str, int], Sequence[str]]


class OutboundRefused(OSError):
    """We do not call this address; the message says why and names no address."""


class OutboundFailed(OSError):
    """The call was made and yielded no whole answer in time; the message names no address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side answered, whatever its status.

    Attributes:
        headers: by their names in small letters; of repeated ones the last.
        body: whole, at most as long as the caller allowed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a host. The system's resolver sets its own limit of time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Outbound:
    """Makes such calls.

    Args:
        allowed: hosts (`host` or `host:port`) and networks (`10.1.0.0/16`) that the operator
            lists; they may be private, and may be asked by http.
        resolver: how names become addresses.
        context: whom to trust at the other end of TLS.

    Raises:
        ValueError: an entry of `allowed` is neither.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        resolver: Resolver = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts, self._networks = (
            set[tuple[str, int | None]](),
            list[IPv4Network | IPv6Network](),
        )
        for entry in allowed:
            listed = _listed(entry)
            if isinstance(listed, tuple):
                self._hosts.add(listed)
            else:
                self._networks.append(listed)
        self._resolver = resolver
        self._context = context

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Call an address once and return its answer; a redirect is an answer like any other.

        Args:
            method: `GET` or `POST`.
            url: absolute; https, or http for what is listed.
            body: for `POST`.
            headers: beside those of our own.
            timeout_seconds: for everything after the look-up of the name, together.
            max_bytes: of the answer's body.

        Raises:
            OutboundRefused: the address is not one that we call.
            OutboundFailed: no connection, no proof of its name, or no whole answer in time.
        """
        if method not in {"GET", "POST"}:
            raise ValueError(method)
        parts = _parts(url)
        host = str(parts.hostname).rstrip(".")
        port = parts.port or _PORTS[parts.scheme]
        addresses = self._addresses(parts.scheme, host, port)
        deadline = monotonic() + timeout_seconds
        try:
            sock = self._connected(addresses, port, deadline)
            try:
                if parts.scheme == "https":
                    sock.settimeout(_left(deadline))
                    context = self._context or ssl.create_default_context()
                    sock = context.wrap_socket(sock, server_hostname=host)
                line = _Line(sock, deadline, max_bytes + _MAX_FRAME_BYTES)
                return _exchange(line, parts, method, body, headers or {}, max_bytes)
            finally:
                sock.close()
        except OutboundFailed:
            raise
        except ssl.SSLCertVerificationError as error:
            raise OutboundFailed(f"certificate: {error.verify_message}") from None
        except TimeoutError:
            raise OutboundFailed("timeout") from None
        except (OSError, http.client.HTTPException) as error:
            # Their own words may quote the address or the answer.
            raise OutboundFailed(_plainly(error)) from None

    def _addresses(self, scheme: str, host: str, port: int) -> Sequence[Address]:
        """Return the host's addresses, all of which may be called.

        Raises:
            OutboundRefused: one may not.
            OutboundFailed: there is none.
        """
        by_name = not self._hosts.isdisjoint({(host, None), (host, port)})
        if not by_name and port < 1024 and port not in _PORTS.values():
            raise OutboundRefused("a port of another service")
        try:
            found = self._resolver(host, port)
        except OSError:
            raise OutboundFailed("the name has no address") from None
        addresses = [_literal(address) for address in found]
        if not addresses:
            raise OutboundFailed("the name has no address")
        listed = [by_name or self._in_networks(address) for address in addresses]
        if not all(yes or is_public(a) for yes, a in zip(listed, addresses, strict=True)):
            raise OutboundRefused("private address")
        if scheme == "http" and not all(listed):
            raise OutboundRefused("not https")
        return addresses

    def _in_networks(self, address: Address) -> bool:
        plain = _embedded(address) or address
        return any(plain in network for network in self._networks)

    @staticmethod
    def _connected(addresses: Sequence[Address], port: int, deadline: float) -> socket.socket:
        """Return a connection to the first of these addresses that takes one.

        Raises:
            OSError: none does.
        """
        failure: OSError = OutboundFailed("no connection")
        for address in addresses:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(_left(deadline))
                sock.connect((str(address), port))
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet and to one machine of it.

    An IPv4 address in IPv6 dress is judged by what it stands for. Source: the IANA special-purpose
    address registries (RFC 6890); RFC 6052 s. 2.1 (NAT64); 6to4 and Teredo are out of use.
    """
    plain = _embedded(address) or address
    if isinstance(plain, IPv4Address):
        return plain.is_global and not any(plain in network for network in _NOT_PUBLIC_4)
    return (
        plain in _PUBLIC_6
        and plain.is_global
        and not any(plain in network for network in _NOT_PUBLIC_6)
    )


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _literal(text: str) -> Address:
    """Return an address as a resolver writes it; one with a zone is of this link alone.

    Raises:
        OutboundRefused: it is none, or has a zone.
    """
    try:
        address = ip_address(text)
    except ValueError:
        raise OutboundRefused("private address") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise OutboundRefused("private address")
    return address


def _parts(url: str) -> SplitResult:
    """Return the parts of an address that has no surprises in it.

    Raises:
        OutboundRefused: it has.
    """
    if len(url) > MAX_URL_LENGTH or not re.fullmatch(r"[!-\[\]-~]+", url) or "#" in url:
        raise OutboundRefused("not a plain URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise OutboundRefused("not a plain URL") from None
    if parts.scheme not in _PORTS:
        raise OutboundRefused("not https")
    if not host or parts.username is not None or parts.password is not None or port == 0:
        raise OutboundRefused("not a plain URL")
    if "%" in host or (_looks_numeric(host) and not _is_address(host)):
        raise OutboundRefused("not a plain URL")
    return parts


def _looks_numeric(host: str) -> bool:
    """Tell whether a resolver may read a host as an IPv4 address, in whatever notation."""
    return bool(re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", host))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _listed(entry: str) -> tuple[str, int | None] | IPv4Network | IPv6Network:
    """Return what one entry of the operator's list means.

    Raises:
        ValueError: nothing.
    """
    if "/" in entry:
        return ip_network(entry)
    if _is_address(entry):
        return entry.lower(), None
    parts = urlsplit(f"//{entry}")
    if not parts.hostname or parts.username is not None or not re.fullmatch(r"\S+", entry):
        raise ValueError(f"{entry!r} is neither a host, a host with its port, nor a network")
    return parts.hostname.rstrip("."), parts.port


def _left(deadline: float) -> float:
    """Return the seconds that are left.

    Raises:
        TimeoutError: none.
    """
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _plainly(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return "connection lost" if isinstance(error, ConnectionError) else type(error).__name__


class _Line:
    """A connection as `http.client` uses one, with one deadline and a bound for what is read."""

    def __init__(self, sock: socket.socket, deadline: float, max_bytes: int) -> None:
        self._sock, self._deadline, self._left = sock, deadline, max_bytes

    def sendall(self, data: ReadableBuffer) -> None:
        view = memoryview(data).cast("B")
        while view:
            self._sock.settimeout(_left(self._deadline))
            view = view[self._sock.send(view) :]

    def read_into(self, buffer: WriteableBuffer) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise OutboundFailed("the answer is too long")
        return count

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Leave the connection to who opened it: the answer may be unread yet."""


class _Reader(io.RawIOBase):
    """The reading side of a `_Line`."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._line.read_into(buffer)


def _exchange(
    line: _Line,
    parts: SplitResult,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    max_bytes: int,
) -> Answer:
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port or _PORTS[parts.scheme])
    connection.default_port = _PORTS[parts.scheme]  # which the Host header leaves out
    connection.auto_open = 0  # over this line or not at all
    connection.sock = cast("socket.socket", line)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = {"User-Agent": "placet", "Connection": "close", "Accept-Encoding": "identity"}
    connection.request(method, target, body=body, headers={**own, **headers})
    response = connection.getresponse()
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OutboundFailed("the answer is too long")
    if response.length:
        raise OutboundFailed("the answer is not whole")
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, content)
