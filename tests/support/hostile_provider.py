"""A real OpenID provider on a loopback port that does as it should, or exactly one thing wrong.

`faults` switches what is wrong. Nothing here is ours: it signs, answers and checks by itself.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum, auto
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"
OTHER = "https://somebody-else.example"
ACCESS_TOKEN = "opaque-access-token"
SLOW_SECONDS = 2.0


class Fault(StrEnum):
    """What can be wrong, one at a time."""

    # the ID token
    BAD_SIGNATURE = auto()
    ALG_NONE = auto()
    HS256_WITH_PUBLIC_KEY = auto()
    ALG_NOT_CONFIGURED = auto()
    WRONG_ISS = auto()
    WRONG_AUD = auto()
    SEVERAL_AUD_WITHOUT_AZP = auto()
    WRONG_AZP = auto()
    WRONG_NONCE = auto()
    MISSING_NONCE = auto()
    EXPIRED = auto()
    MISSING_EXP = auto()
    MISSING_IAT = auto()
    FUTURE_IAT = auto()
    OLD_IAT = auto()
    MISSING_SUB = auto()
    EMPTY_SUB = auto()
    LONG_SUB = auto()
    WRONG_AT_HASH = auto()
    UNKNOWN_KID = auto()
    KID_ABSENT_SEVERAL_KEYS = auto()
    CRITICAL_HEADER = auto()
    LOGOUT_TOKEN_AS_ID_TOKEN = auto()
    NOT_A_TOKEN = auto()
    SHORT_KEY = auto()
    # userinfo
    WRONG_USERINFO_SUB = auto()
    MISSING_USERINFO_SUB = auto()
    USERINFO_SIGNED = auto()
    USERINFO_HTML = auto()
    # documents
    DISCOVERY_OTHER_ISSUER = auto()
    DISCOVERY_ISSUER_WITH_SLASH = auto()
    DISCOVERY_FOREIGN_HTTP = auto()
    DISCOVERY_HTML = auto()
    DISCOVERY_REDIRECT = auto()
    JWKS_REDIRECT = auto()
    JWKS_HUGE = auto()
    JWKS_SLOW = auto()
    JWKS_HTML = auto()
    JWKS_500 = auto()
    # the token endpoint
    TOKEN_ERROR = auto()
    TOKEN_HTML = auto()
    TOKEN_500 = auto()
    TOKEN_WITHOUT_ID_TOKEN = auto()
    TOKEN_NOT_BEARER = auto()
    # what the browser brings back
    DENIED = auto()
    SERVER_ERROR = auto()
    OTHER_ISS_PARAMETER = auto()
    MISSING_ISS_PARAMETER = auto()
    MISSING_STATE = auto()
    OTHER_STATE = auto()
    MISSING_CODE = auto()
    STATE_TWICE = auto()


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAKey:
    """Return a key of this name, the same for all tests of a process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # a short one is made on purpose
        return RSAKey.generate_key(bits, {"kid": name, "use": "sig"}, private=True, auto_kid=False)


@cache
def ec_key(name: str) -> ECKey:
    """Return a P-256 key of this name, likewise."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig"}, private=True, auto_kid=False)


@dataclass
class HostileProvider:
    """The provider, and what a test makes of it.

    Attributes:
        origin: scheme, host and port.
        issuer: what it says of itself; `{tenantid}` in it makes it many.
        header: of what it signs, likewise.
        claims: of the ID token, beside and over the ordinary ones; None leaves one out.
        info: what userinfo tells beside `sub`.
        metadata: beside and over the ordinary discovery document; None leaves a member out.
        signing: the key that signs now.
        published: the keys that it publishes.
        plain: speaks OAuth 2.0 alone, as Facebook does.
        asked: (method, path, headers, body) of every request so far.
    """

    origin: str
    issuer: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    client_id: str = "placet"
    client_secret: str = "s3cret/with+signs"
    sub: str = "248289761001"
    faults: set[Fault] = field(default_factory=set)
    claims: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(
        default_factory=lambda: {"email": "ana@example.org", "email_verified": True}
    )
    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    signing: RSAKey = field(default_factory=lambda: rsa_key("k1"))
    published: list[Any] = field(default_factory=lambda: [rsa_key("k1")])
    key_members: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    plain: bool = False
    secret_is_right: Callable[[str], bool] | None = None
    asked: list[tuple[str, str, Mapping[str, str], str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(urlsplit(asked).path == path for _method, asked, *_ in self.asked)

    # ---- the browser's side

    def authorize(self, url: str) -> dict[str, list[str]]:
        """Return what the browser brings back from an authorization request."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert given["response_type"] == "code"
        assert given["client_id"] == self.client_id
        assert given["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = given
        answer = {"code": [code], "state": [given["state"]], "iss": [self.issuer]}
        if self.user is not None:
            answer["user"] = [self.user]
        if self.faults & {Fault.DENIED, Fault.SERVER_ERROR}:
            del answer["code"]
            answer["error"] = [
                "access_denied" if Fault.DENIED in self.faults else "server_error",
            ]
        changes: dict[Fault, tuple[str, list[str]]] = {
            Fault.OTHER_ISS_PARAMETER: ("iss", [OTHER]),
            Fault.MISSING_ISS_PARAMETER: ("iss", []),
            Fault.MISSING_STATE: ("state", []),
            Fault.OTHER_STATE: ("state", ["A" * 43]),
            Fault.STATE_TWICE: ("state", [given["state"]] * 2),
            Fault.MISSING_CODE: ("code", []),
        }
        for fault in self.faults & changes.keys():
            name, values = changes[fault]
            answer[name] = values
        return {name: values for name, values in answer.items() if values}

    # ---- what it signs

    def id_token(self, given: Mapping[str, str]) -> str:
        """Return the ID token for an authorization request."""
        now = int(self.clock().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.sub,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": given.get("nonce"),
        }
        claims |= self.claims
        changes: dict[Fault, dict[str, Any]] = {
            Fault.WRONG_ISS: {"iss": OTHER},
            Fault.WRONG_AUD: {"aud": "somebody-else"},
            Fault.SEVERAL_AUD_WITHOUT_AZP: {"aud": [self.client_id, "somebody-else"]},
            Fault.WRONG_AZP: {"aud": [self.client_id, "somebody-else"], "azp": "somebody-else"},
            Fault.WRONG_NONCE: {"nonce": "another"},
            Fault.MISSING_NONCE: {"nonce": None},
            Fault.EXPIRED: {"iat": now - 400, "exp": now - 60},
            Fault.MISSING_EXP: {"exp": None},
            Fault.MISSING_IAT: {"iat": None},
            Fault.FUTURE_IAT: {"iat": now + 61},
            Fault.OLD_IAT: {"iat": now - 661},
            Fault.MISSING_SUB: {"sub": None},
            Fault.EMPTY_SUB: {"sub": ""},
            Fault.LONG_SUB: {"sub": "s" * 256},
            Fault.WRONG_AT_HASH: {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        }
        for fault in self.faults & changes.keys():
            claims |= changes[fault]
        return self.signed({name: value for name, value in claims.items() if value is not None})

    def signed(self, claims: Mapping[str, Any], **header: str) -> str:
        """Return a token as this provider, with its faults, signs it."""
        head: dict[str, Any] = {"alg": "RS256", "kid": self.signing.kid} | self.header | header
        head = {name: value for name, value in head.items() if value is not None}
        if Fault.LOGOUT_TOKEN_AS_ID_TOKEN in self.faults:
            head["typ"] = "logout+jwt"
        if Fault.UNKNOWN_KID in self.faults:
            head["kid"] = "nobody-knows"
        if Fault.KID_ABSENT_SEVERAL_KEYS in self.faults:
            head.pop("kid", None)
        if Fault.CRITICAL_HEADER in self.faults:
            return self._by_hand(head | {"crit": ["b64"], "b64": True}, claims, b"signature")
        if Fault.NOT_A_TOKEN in self.faults:
            return "not.a.token"
        if Fault.ALG_NONE in self.faults:
            return self._by_hand(head | {"alg": "none"}, claims, None)
        if Fault.HS256_WITH_PUBLIC_KEY in self.faults:
            public = self.signing.as_pem(private=False)
            return self._by_hand(head | {"alg": "HS256"}, claims, public)
        if Fault.ALG_NOT_CONFIGURED in self.faults:
            key = ec_key("ec")
            return jwt.encode(head | {"alg": "ES256", "kid": "ec"}, dict(claims), key, ["ES256"])
        signing = rsa_key("short", 1024) if Fault.SHORT_KEY in self.faults else self.signing
        if Fault.SHORT_KEY in self.faults:
            head["kid"] = "short"
        algorithm = str(head["alg"])
        token = jws.serialize_compact(head, json.dumps(claims), signing, [algorithm])
        if Fault.BAD_SIGNATURE in self.faults:
            start, _, signature = token.rpartition(".")
            token = f"{start}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
        return token

    def _by_hand(
        self, head: Mapping[str, Any], claims: Mapping[str, Any], key: bytes | None
    ) -> str:
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{_text(hmac.digest(key, signed.encode(), 'sha256')) if key else ''}"

    def logout_token(self, **changes: Any) -> str:
        """Return a logout token, with changes; None leaves a claim out."""
        now = int(self.clock().timestamp())
        typ = str(changes.pop("typ", "logout+jwt"))
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": "j-1",
            "sub": self.sub,
            "sid": "s-1",
            "events": {BACKCHANNEL_EVENT: {}},
        }
        claims |= changes
        left = {name: value for name, value in claims.items() if value is not None}
        return self.signed(left, typ=typ)

    # ---- what it answers

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: str) -> "Reply":
        """Return the answer to a request."""
        self.asked.append((method, path, headers, body))
        where = urlsplit(path).path
        if where.endswith("/.well-known/openid-configuration"):
            return self._discovery()
        if where == "/authorize":
            return self._send_back(path)
        if where == "/jwks":
            return self._jwks()
        if where == "/token":
            return self._token(headers, body)
        if where == "/userinfo":
            return self._userinfo(path, headers)
        return Reply(404, b"", "text/plain")

    def _send_back(self, path: str) -> "Reply":
        """Send a real browser back, by redirect or by a form with a button."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        answer = self.authorize(path)
        if given.get("response_mode") != "form_post":
            there = f"{given['redirect_uri']}?{urlencode(answer, doseq=True)}"
            return Reply(303, b"", "text/plain", {"Location": there})
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">'
            for name, values in answer.items()
            for value in values
        )
        page = (
            f'<form method="post" action="{escape(given["redirect_uri"])}">{inputs}'
            "<button>Continue</button></form>"
        )
        return Reply(200, page.encode(), "text/html")

    def _discovery(self) -> "Reply":
        if Fault.DISCOVERY_HTML in self.faults:
            return HTML
        if Fault.DISCOVERY_REDIRECT in self.faults:
            return Reply(302, b"", "text/plain", {"Location": f"{self.origin}/elsewhere"})
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "userinfo_endpoint": f"{self.origin}/userinfo",
            "jwks_uri": f"{self.origin}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            # It would let itself be believed without any signature.
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
        }
        changes: dict[Fault, dict[str, Any]] = {
            Fault.DISCOVERY_OTHER_ISSUER: {"issuer": OTHER},
            Fault.DISCOVERY_ISSUER_WITH_SLASH: {"issuer": f"{self.issuer}/"},
            Fault.DISCOVERY_FOREIGN_HTTP: {"token_endpoint": "http://somebody-else.example/token"},
        }
        document |= self.metadata
        for fault in self.faults & changes.keys():
            document |= changes[fault]
        return _json({name: value for name, value in document.items() if value is not None})

    def _jwks(self) -> "Reply":
        if Fault.JWKS_REDIRECT in self.faults:
            return Reply(302, b"", "text/plain", {"Location": f"{self.origin}/elsewhere"})
        if Fault.JWKS_SLOW in self.faults:
            time.sleep(SLOW_SECONDS)
        if Fault.JWKS_HTML in self.faults:
            return HTML
        if Fault.JWKS_500 in self.faults:
            return Reply(500, b"{}", "application/json")
        keys = [*self.published]
        if Fault.KID_ABSENT_SEVERAL_KEYS in self.faults:
            keys.append(rsa_key("k2"))
        if Fault.ALG_NOT_CONFIGURED in self.faults:
            keys.append(ec_key("ec"))
        if Fault.SHORT_KEY in self.faults:
            keys.append(rsa_key("short", 1024))
        document: dict[str, Any] = {
            "keys": [each.as_dict(private=False) | self.key_members for each in keys]
        }
        if Fault.JWKS_HUGE in self.faults:
            document["more"] = "x" * 1_000_000
        return _json(document)

    def _token(self, headers: Mapping[str, str], body: str) -> "Reply":
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if Fault.TOKEN_HTML in self.faults:
            return HTML
        if Fault.TOKEN_500 in self.faults:
            return Reply(500, b"", "text/plain")
        given = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            given is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != given["redirect_uri"]
            or _text(verifier) != given["code_challenge"]
            or Fault.TOKEN_ERROR in self.faults
        ):
            return _json({"error": "invalid_grant"}, 400)
        if not self._proves_itself(headers, form):
            return _json({"error": "invalid_client"}, 401)
        answer: dict[str, Any] = {
            "access_token": ACCESS_TOKEN,
            "token_type": "mac" if Fault.TOKEN_NOT_BEARER in self.faults else "Bearer",
            "expires_in": 300,
        }
        if not self.plain and Fault.TOKEN_WITHOUT_ID_TOKEN not in self.faults:
            answer["id_token"] = self.id_token(given)
        return _json(answer)

    def _proves_itself(self, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        who, secret = form.get("client_id", ""), form.get("client_secret", "")
        if headers.get("authorization", "").startswith("Basic "):
            pair = base64.b64decode(headers["authorization"][6:]).decode()
            who, secret = (unquote_plus(part) for part in pair.split(":", 1))
        right = self.secret_is_right(secret) if self.secret_is_right else None
        return who == self.client_id and (secret == self.client_secret if right is None else right)

    def _userinfo(self, path: str, headers: Mapping[str, str]) -> "Reply":
        if headers.get("authorization") != f"Bearer {ACCESS_TOKEN}":
            return _json({"error": "invalid_token"}, 401)
        if self.plain:
            proof = hmac.digest(self.client_secret.encode(), ACCESS_TOKEN.encode(), "sha256").hex()
            if parse_qs(urlsplit(path).query).get("appsecret_proof") not in (None, [proof]):
                return _json({"error": "proof"}, 400)
            return _json(self.info)
        if Fault.USERINFO_HTML in self.faults:
            return HTML
        info: dict[str, Any] = {"sub": self.sub} | self.info
        if Fault.WRONG_USERINFO_SUB in self.faults:
            info["sub"] = "somebody-else"
        if Fault.MISSING_USERINFO_SUB in self.faults:
            del info["sub"]
        if Fault.USERINFO_SIGNED in self.faults:
            return Reply(200, self.signed(info).encode(), "application/jwt")
        return _json(info)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


HTML = Reply(200, b"<!doctype html><title>Down for maintenance</title>", "text/html")


def _json(content: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), "application/json")


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def hostile_provider() -> Iterator[HostileProvider]:
    """Start a provider in a thread and stop it on leaving."""
    running: list[HostileProvider] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply("")

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _reply(self, body: str) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = running[0].answer(self.command, self.path, headers, body)
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", reply.media_type)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:
                self.close_connection = True  # whoever asked has given up waiting

        def log_request(self, *_: object) -> None:
            """Keep the tests' output clean."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # twenty browsers may come at once

    server = Server(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_port}"
    running.append(HostileProvider(origin, origin))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
