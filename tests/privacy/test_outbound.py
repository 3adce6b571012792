"""Outbound calls reach public addresses and what the operator listed, and nothing else. RFC 6890."""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from privacy.outbound import Outbound, OutboundFailed, OutboundRefused, is_public
from privacy.settings import SettingsError, settings_from
from tests.support.processes import closed_port

PUBLIC = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: One\r\n\r\nok"


def answers(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


@contextmanager
def server(
    respond: Callable[[socket.socket], None], *, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Listen on loopback; give the port and the requests that came."""
    came: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with suppress(OSError), connection:
                line = context.wrap_socket(connection, server_side=True) if context else connection
                came.append(_request(line))
                respond(line)
                line.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _request(line: socket.socket) -> bytes:
    """Read one request to the end of what it announces."""
    came = b""
    while part := line.recv(65536):
        came += part
        head, gap, body = came.partition(b"\r\n\r\n")
        announced = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        if gap and len(body) >= (int(announced[1]) if announced else 0):
            break
    return came


def says(content: bytes) -> Callable[[socket.socket], None]:
    return lambda line: line.sendall(content)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "0.1.2.3", "::"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fec0::1"),
        *("169.254.169.254", "fe80::1", "100.64.0.1", "100.127.255.255", "192.0.0.8"),
        *("224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "240.0.0.1", "255.255.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("2002:7f00:1::", "2002:5db8:d822::1", "192.88.99.1", "2001:0:4136:e378:8000::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::5db8:d822", "5f00::1", "100::1"),
    ],
)
def test_an_address_that_is_not_on_the_public_internet_is_refused(address: str) -> None:
    outbound = Outbound(resolver=answers(address))
    with pytest.raises(OutboundRefused, match="private address"):
        outbound.request("GET", "https://shop.example/")


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:21f::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_an_address_on_the_public_internet_is_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    outbound = Outbound(resolver=answers(PUBLIC, "10.0.0.1", "2606:2800:21f::1"))
    with pytest.raises(OutboundRefused):
        outbound.request("GET", "https://shop.example/")


def test_an_address_with_a_zone_is_refused() -> None:
    outbound = Outbound(["fe80::/10"], resolver=answers("fe80::1%lo"))
    with pytest.raises(OutboundRefused):
        outbound.request("GET", "https://shop.example/")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_with_the_system_s_own_resolver(host: str) -> None:
    with pytest.raises(OutboundRefused, match="private address"):
        Outbound().request("GET", f"https://{host}:8443/")


@pytest.mark.parametrize(
    "url",
    [
        *("https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://127.1/"),
        *("https://0x7f000001/", "https://127.0.0.01/", "https://1.2.3.4.5./", "https://0/"),
        *("https://ana@shop.example/", "https://a:b@shop.example/", "https://@shop.example/"),
        *("https://shop.example/#part", "https://shop.example/ x", "https://shop.example/\r\nX: y"),
        *("https://shop.example\\@10.0.0.1/", "https://señor.example/", "https://[fe80::1%25lo]/"),
        *("https:///path", "https://shop.example:0/", "https://shop.example:99999/", "https://["),
        *("https://shop.example:x/", "https://shop.example/" + "a" * 2000),
        *("ftp://shop.example/", "file:///etc/passwd", "gopher://shop.example/", "shop.example"),
        *("http://shop.example/", "https://shop.example:22/", "https://shop.example:25/"),
    ],
)
def test_an_address_with_a_surprise_in_it_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(OutboundRefused):
        Outbound(resolver=answers(PUBLIC)).request("GET", url)


def test_only_get_and_post_are_asked() -> None:
    with pytest.raises(ValueError, match="PUT"):
        Outbound(resolver=answers(PUBLIC)).request("PUT", "https://shop.example/")


def test_the_call_goes_to_the_very_address_that_was_checked() -> None:
    """A name server that answers anew for each question gets one question."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with server(says(OK)) as (port, came):
        outbound = Outbound(["127.0.0.1/32"], resolver=rebinding)
        answer = outbound.request("GET", f"http://shop.example:{port}/a?b=c")
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b"ok", "One")
    assert asked == ["shop.example"]
    assert came[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert f"\r\nHost: shop.example:{port}\r\n".encode() in came[0]


def test_a_second_address_is_tried_where_the_first_takes_no_connection() -> None:
    with server(says(OK)) as (port, _):
        outbound = Outbound(["127.0.0.0/8"], resolver=answers("127.0.0.9", "127.0.0.1"))
        assert outbound.request("GET", f"http://shop.example:{port}/").status == 200


@pytest.mark.parametrize("listed", ["localhost", "LOCALHOST:{port}", "127.0.0.0/8"])
def test_what_the_operator_lists_may_be_called_by_http(listed: str) -> None:
    with server(says(OK)) as (port, came):
        outbound = Outbound([listed.format(port=port)], resolver=answers("127.0.0.1"))
        outbound.request(
            "POST", f"http://localhost:{port}/x", body=b"a=b", headers={"Content-Type": "text/x"}
        )
    head, _, body = came[0].partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body) == (b"POST /x HTTP/1.1", b"a=b")
    assert b"Content-Type: text/x" in head


@pytest.mark.parametrize("listed", ["localhost:1", "other.example", "10.0.0.0/8", "ocalhost"])
def test_a_list_opens_what_it_names_and_no_more(listed: str) -> None:
    with server(says(OK)) as (port, came):
        outbound = Outbound([listed], resolver=answers("127.0.0.1"))
        with pytest.raises(OutboundRefused):
            outbound.request("GET", f"http://localhost:{port}/")
    assert not came


@pytest.mark.parametrize("entry", ["https://crm.example/", "10.0.0.1/8", "a@b", "", "crm:port"])
def test_a_list_with_an_entry_that_means_nothing_is_refused_at_the_start(
    entry: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Outbound([entry])
    if entry:
        with pytest.raises(SettingsError, match="PLACET_OUTBOUND_ALLOW"):
            settings_from({"PLACET_OUTBOUND_ALLOW": f"crm.example,{entry}"}, tmp_path)


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(says(moved)) as (port, came):
        answer = Outbound(["localhost"]).request("GET", f"http://localhost:{port}/")
    assert (answer.status, len(came)) == (302, 1)


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with server(says(OK)) as (port, came):
        assert Outbound(["localhost"]).request("GET", f"http://localhost:{port}/").status == 200
    assert len(came) == 1


@pytest.mark.parametrize(
    "dripped", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_an_answer_that_drips_is_cut_at_the_deadline(dripped: bytes) -> None:
    def drip(line: socket.socket) -> None:
        line.sendall(dripped)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            line.sendall(b"a")
            threading.Event().wait(0.03)

    with server(drip) as (port, _):
        begun = time.monotonic()
        with pytest.raises(OutboundFailed, match="timeout"):
            Outbound(["localhost"]).request(
                "GET", f"http://localhost:{port}/", timeout_seconds=0.25
            )
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "long",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"a" * 2000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 2000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 60_000 + b"\r\nX-B: " + b"b" * 60_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    ],
)
def test_an_answer_that_is_too_long_is_cut(long: bytes) -> None:
    with server(says(long)) as (port, _), pytest.raises(OutboundFailed, match="too long"):
        Outbound(["localhost"]).request("GET", f"http://localhost:{port}/", max_bytes=1000)


@pytest.mark.parametrize(
    "broken",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
)
def test_half_an_answer_is_none(broken: bytes) -> None:
    with server(says(broken)) as (port, _), pytest.raises(OutboundFailed):
        Outbound(["localhost"]).request("GET", f"http://localhost:{port}/")


def test_a_name_without_an_address_and_a_closed_port_fail_in_words_that_name_neither() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known: secret.example")

    with pytest.raises(OutboundFailed, match=r"^the name has no address$"):
        Outbound(resolver=unknown).request("GET", "https://secret.example/")
    with closed_port() as port, pytest.raises(OutboundFailed, match=r"^connection refused$"):
        Outbound(["localhost"], resolver=answers("127.0.0.1")).request(
            "GET", f"http://localhost:{port}/"
        )


def _certificate(folder: Path, host: str) -> Path:
    """Return a file with a key and its own certificate for a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_the_certificate_must_be_trusted_and_be_the_host_s_even_where_it_is_listed(
    tmp_path: Path,
) -> None:
    file = _certificate(tmp_path, "shop.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(file))
    with server(says(OK), context=serving) as (port, came):
        ours = Outbound(["127.0.0.1/32"], resolver=answers("127.0.0.1"), context=trusting)
        assert ours.request("GET", f"https://shop.example:{port}/").body == b"ok"
        with pytest.raises(OutboundFailed, match="certificate"):
            ours.request("GET", f"https://other.example:{port}/")
        stranger = Outbound(["127.0.0.1/32"], resolver=answers("127.0.0.1"))
        with pytest.raises(OutboundFailed, match="certificate"):
            stranger.request("GET", f"https://shop.example:{port}/")
    assert len(came) == 1
