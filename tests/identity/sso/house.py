"""A whole deployment with outside providers, and what people do with them in a browser."""

import json
from collections.abc import Mapping
from pathlib import Path
from re import search

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.accounts.model import Account
from identity.sso.identity_model import Identity
from tests.identity.people import ANA, account_of, letter
from tests.identity.sso.upstreams import ENTRY, PROVIDER
from tests.support.forms import submit
from tests.support.hostile_provider import HostileProvider
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

HERE = "http://localhost:8000"


def house(
    database_url: str,
    instance: Path,
    mail: MailServer,
    provider: HostileProvider,
    **entries: Mapping[str, object],
) -> World:
    """Return a deployment whose file of providers has these entries, each laid over `ENTRY`."""
    common = {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
    }
    wanted = entries or {PROVIDER: {}}
    file = instance / "providers.toml"
    file.write_text(
        "\n".join(table(name, {**ENTRY, **common, **entry}) for name, entry in wanted.items())
    )
    world = make_world(
        database_url,
        instance,
        PLACET_MAIL_PORT=str(mail.port),
        PLACET_OUTBOUND_ALLOW=provider.origin.removeprefix("http://"),
    )
    provider.clock = world.clock
    return world


def table(name: str, members: Mapping[str, object]) -> str:
    """Return one TOML table; what we write is TOML in JSON's form. None leaves a member out."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in members.items() if value is not None]
    return "\n".join([f"[{name}]", *lines, ""])


def go(client: FlaskClient, page: str = "/login", name: str = PROVIDER) -> str:
    """Press the provider's button and return where the browser is sent."""
    path = "/account/identities/link" if page == "/account/identities" else "/login/with"
    answer = submit(client, page, {}, to=f"{path}/{name}")
    assert answer.status_code == 200, answer.text
    return str(answer.headers["Refresh"].removeprefix("0;url="))


def come_back(
    client: FlaskClient, provider: HostileProvider, url: str, name: str = PROVIDER
) -> TestResponse:
    """Bring the provider's answer, in the way that it was asked for."""
    answer = provider.authorize(url)
    callback = f"/sso/{name}/callback"
    if "response_mode=form_post" not in url:
        return client.get(callback, query_string=answer)
    # From another site the browser sends no cookies along, and takes part in no session.
    abroad = client.application.test_client()
    parked = abroad.post(callback, data=answer, headers={"Sec-Fetch-Site": "cross-site"})
    assert parked.status_code == 303
    assert "Set-Cookie" not in parked.headers
    return client.get(parked.headers["Location"])


def arrive(
    client: FlaskClient, provider: HostileProvider, page: str = "/login", name: str = PROVIDER
) -> TestResponse:
    """Go to the provider and come back."""
    return come_back(client, provider, go(client, page, name), name)


def register(
    world: World,
    mail: MailServer,
    provider: HostileProvider,
    *,
    email: str = ANA,
    name: str = PROVIDER,
    fields: Mapping[str, str] | None = None,
) -> FlaskClient:
    """Open an account by a provider that proves no address, and return the browser, signed in."""
    provider.info |= {"email": email, "email_verified": False}
    client = world.client
    before = len(mail.messages_to(email))
    assert arrive(client, provider, name=name).headers["Location"] == "/register/with"
    answer = submit(client, "/register/with", {"email": email, **(fields or {})})
    assert answer.headers["Location"] == "/register/code", answer.text
    code = letter(world, mail, email, before + 1).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.status_code == 303, answer.text
    return client


def identities(world: World, email: str = ANA) -> list[Identity]:
    """Return the identities of an address's account."""
    account: Account = account_of(world, email)
    with world.placet.runtime.snapshot() as session:
        return world.placet.identity.identities.of_account(session, account.account_id)


def methods(world: World, email: str = ANA) -> list[tuple[str, ...]]:
    """Return what each living session of an account rests on, the last used first."""
    account = account_of(world, email)
    with world.placet.runtime.snapshot() as session:
        found = world.placet.identity.sessions.of_account(
            session, account.account_id, now=world.clock()
        )
    return [each.methods for each in found]


def heading(answer: TestResponse) -> str:
    """Return a page's heading."""
    found = search(r"<h1>(.*?)</h1>", answer.text)
    assert found, answer.text
    return found[1]
