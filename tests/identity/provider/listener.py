"""A relying party's back channel: a real HTTP server on loopback that keeps what it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from identity.accounts.client import Client as Browser
from identity.accounts.model import Account
from identity.provider import id_token
from identity.provider.grant_store import GrantRow
from identity.provider.model import SignIn
from identity.sessions.browser import SID
from privacy.actor import SYSTEM, Actor
from privacy.keys.signing import KeyUse
from tests.identity.provider.relying_party import RelyingParty
from tests.support.world import World

#: What a deployment must list so that a test's own servers may be told.
ALLOWED = {"PLACET_OUTBOUND_ALLOW": "127.0.0.1"}


@dataclass
class Listener:
    """What a relying party was told, and what it answers: the last status goes on for ever."""

    uri: str
    statuses: list[int] = field(default_factory=lambda: [200])
    bodies: list[dict[str, str]] = field(default_factory=list)

    def tokens(self, party: RelyingParty) -> list[jwt.Token]:
        """Return the logout tokens that came, verified by the published keys, RS256 alone."""
        keys = KeySet.import_key_set(party.browser.get("/oauth/jwks").get_json())
        return [jwt.decode(body["logout_token"], keys, ["RS256"]) for body in self.bodies]

    def claims(self, party: RelyingParty) -> list[dict[str, Any]]:
        return [dict(token.claims) for token in self.tokens(party)]


@contextmanager
def listening() -> Iterator[Listener]:
    """Start a relying party's back channel and stop it on leaving."""
    kept = Listener("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            kept.bodies.append({name: value for name, [value] in parse_qs(body).items()})
            status = kept.statuses.pop(0) if len(kept.statuses) > 1 else kept.statuses[0]
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.uri = f"http://127.0.0.1:{server.server_port}/logout"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Signed:
    """A browser with a session of its own."""

    browser: FlaskClient
    account: Account
    actor: Actor


def begin(
    world: World,
    account: Account,
    *,
    replacing: Signed | None = None,
    device_id: str | None = None,
) -> Signed:
    """Sign a person in by the service; with `replacing`, in the browser that one has."""
    identity = world.placet.identity
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        secret = identity.sessions.begin(
            uow,
            account,
            ["pwd"],
            Browser("127.0.0.1", "Firefox"),
            device_id=device_id,
            replaces=replacing.actor.session_id if replacing else None,
        )
        uow.commit()
    client = replacing.browser if replacing else world.client
    with client.session_transaction() as cookie:
        cookie[SID] = secret
    with world.app.test_request_context(), world.placet.runtime.snapshot() as session:
        found = identity.sessions.find(session, secret, now=world.clock())
        assert found is not None
        return Signed(client, account, identity.browser._actor(found))


@dataclass(frozen=True)
class Entered:
    """What an application got when a session went on into it."""

    sid: str
    sub: str
    id_token: str = field(repr=False)


def enter(world: World, party: RelyingParty, signed: Signed) -> Entered:
    """Let a session go on into an application, as the authorization endpoint does."""
    placet, subject_id = world.placet, signed.account.subject_id
    with placet.runtime.unit_of_work(signed.actor) as uow:
        sid = placet.logouts.join(uow, party.client, signed.actor)
        sub = placet.pseudonyms.issue(uow, party.client.sector, subject_id)
        if uow.session.get(GrantRow, (party.client.client_id, subject_id)) is None:
            uow.session.add(
                GrantRow(
                    client_id=party.client.client_id,
                    subject_id=subject_id,
                    scope="openid",
                    claims="",
                    made_at=uow.now,
                    last_used_at=uow.now,
                )
            )
        token = id_token.sign(
            placet.signing_keys.current(uow.session, KeyUse.OPENID),
            issuer=placet.settings.base_url,
            client_id=party.client.client_id,
            sub=sub,
            sign_in=SignIn(auth_time=uow.now, methods=("pwd",), sid=sid),
            access_token="pat_x",
            issued_at=uow.now,
        )
        uow.commit()
    return Entered(sid, sub, token)
