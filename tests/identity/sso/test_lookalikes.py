"""Providers that behave like Google, Microsoft, Apple and Facebook: whose word on an address counts.

Sources: as in `identity.sso.ready`.
"""

import json
from pathlib import Path

import pytest

from tests.identity.people import has_account, is_signed_in
from tests.identity.sso.house import arrive, house, identities, register
from tests.support.forms import submit
from tests.support.hostile_provider import HostileProvider, ec_key
from tests.support.smtp import MailServer

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"


def test_google_proves_its_own_mailboxes_and_those_of_the_domain_that_it_hosts(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> None:
    world = house(
        database_url,
        instance,
        mail_server,
        provider,
        google={
            "kind": "google",
            "title": "Google",
            "authoritative_domains": ["gmail.com", "example.org"],
        },
    )
    provider.info = {}
    for sub, email, hosted, at_once in (
        ("1", "ana@gmail.com", None, True),
        ("2", "ana@example.org", "example.org", True),
        ("3", "eva@example.org", None, False),  # a Google account with an address from elsewhere
    ):
        provider.sub = sub
        provider.claims = {"email": email, "email_verified": True, "hd": hosted}
        client = world.client
        assert arrive(client, provider, name="google").headers["Location"] == "/register/with"
        answer = submit(client, "/register/with", {"email": email})
        assert (answer.headers["Location"] != "/register/code") is at_once, email
        assert has_account(world, email) is at_once
        assert is_signed_in(client) is at_once


def test_microsoft_proves_no_address_and_each_tenant_is_an_issuer_of_its_own(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> None:
    provider.issuer = f"{provider.origin}/{{tenantid}}/v2.0"
    world = house(
        database_url,
        instance,
        mail_server,
        provider,
        microsoft={
            "kind": "microsoft",
            "title": "Microsoft",
            "issuer": provider.issuer,
            "authoritative_domains": None,
            "tenant": "organizations",
        },
    )
    # An administrator of a tenant writes whatever address into its accounts (nOAuth).
    provider.claims = {
        "tid": TENANT,
        "email": "ana@example.org",
        "email_verified": True,
    }
    provider.metadata = {"issuer": provider.issuer}
    provider.issuer = provider.issuer.replace("{tenantid}", TENANT)
    client = register(world, mail_server, provider, email="ana@example.org", name="microsoft")
    assert is_signed_in(client)
    assert [each.issuer for each in identities(world, "ana@example.org")] == [provider.issuer]


def test_apple_answers_by_a_form_and_tells_the_name_once(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> None:
    key = instance / "apple.p8"
    key.write_bytes(ec_key("apple").as_pem(private=True))
    world = house(
        database_url,
        instance,
        mail_server,
        provider,
        apple={
            "kind": "apple",
            "title": "Apple",
            "client_secret": None,
            "team_id": "TEAM",
            "key_id": "KEY",
            "private_key_file": str(key),
            "attributes": ["given_name"],
            "authoritative_domains": ["privaterelay.appleid.com"],
        },
    )
    provider.secret_is_right = lambda _secret: True
    provider.info = {}
    provider.user = json.dumps({"name": {"firstName": "Ana", "lastName": "García"}})
    provider.claims = {"email": "x1@privaterelay.appleid.com", "email_verified": "true"}
    client = world.client
    assert arrive(client, provider, name="apple").headers["Location"] == "/register/with"
    assert "Nombre: Ana" in client.get("/register/with").text
    assert submit(client, "/register/with", {}).headers["Location"] != "/register/code"
    assert is_signed_in(client)
    provider.user = None
    assert arrive(world.client, provider, name="apple").headers["Location"] == "/login/code"


def test_facebook_speaks_oauth_alone_and_proves_no_address(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> None:
    provider.plain = True
    world = house(
        database_url,
        instance,
        mail_server,
        provider,
        facebook={
            "kind": "facebook",
            "title": "Facebook",
            "attributes": ["given_name"],
            "authoritative_domains": None,
            "authorization_endpoint": f"{provider.origin}/authorize",
            "token_endpoint": f"{provider.origin}/token",
            "userinfo_endpoint": f"{provider.origin}/userinfo?fields=id,email,first_name",
        },
    )
    provider.info = {"id": "1015", "email": "ana@example.org", "first_name": "Ana"}
    client = register(world, mail_server, provider, email="ana@example.org", name="facebook")
    assert is_signed_in(client)
