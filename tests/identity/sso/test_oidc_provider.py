"""Against a provider that nobody here wrote: npm `oidc-provider`, over real HTTP throughout."""

import json
import os
import re
from pathlib import Path

import pytest
import requests

from tests.identity.sso.house import table
from tests.support.deployment import Deployment
from tests.support.forms import csrf_token
from tests.support.node import SCRIPTS, node
from tests.support.processes import free_port, program, wait_until

CLIENT = {"client_id": "placet", "client_secret": "a secret of the tests alone"}
PASSWORD = "una frase larga y única"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_person_registers_signs_in_unlinks_links_and_is_signed_out_from_there(
    database_url: str, instance: Path
) -> None:
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    provider = {
        "kind": "oidc",
        "title": "La otra",
        "issuer": issuer,
        **CLIENT,
        "authoritative_domains": ["example.org"],
        "attributes": ["given_name"],
    }
    (instance / "providers.toml").write_text(table("other", provider))
    placet = Deployment(
        database_url, instance, settings={"PLACET_OUTBOUND_ALLOW": f"127.0.0.1:{port}"}
    )
    setting = {
        **CLIENT,
        "port": port,
        "redirect_uri": f"{placet.url}/sso/other/callback",
        "backchannel_logout_uri": f"{placet.url}/sso/other/logout",
        "account": {
            "sub": "ana-there",
            "email": "ana@example.org",
            "email_verified": True,
            "given_name": "Ana",
        },
    }
    upstream = program(
        [node(), SCRIPTS / "oidc_provider.mjs"],
        log=instance / "upstream.log",
        env={"PATH": os.environ["PATH"], "UPSTREAM": json.dumps(setting)},
        ready_url=f"{issuer}/.well-known/openid-configuration",
    )
    with upstream, placet.serving(), requests.Session() as ana, requests.Session() as again:
        # Registration, by the address that the provider proves.
        page = _arrive(ana, placet.url, "/login", "/login/with/other")
        assert page.url == f"{placet.url}/register/with"
        assert "ana@example.org" in page.text
        assert "Nombre: Ana" in page.text
        page = _send(ana, page, f"{placet.url}/register/with", {"attribute-given_name": "yes"})
        assert _is_signed_in(ana, placet.url), page.text

        # Signing in, in the same browser but without its session.
        again.cookies.update(
            {name: value for name, value in ana.cookies.items() if name == "placet-device"}
        )
        page = _arrive(again, placet.url, "/login", "/login/with/other")
        assert _is_signed_in(again, placet.url), page.text

        # Unlinking is refused until there is a password; then linking anew.
        page = ana.get(f"{placet.url}/account/identities")
        (own,) = re.findall(r'href="(/account/identities/[0-9a-f]{32})"', page.text)
        page = ana.get(f"{placet.url}{own}")
        refused = _send(ana, page, f"{placet.url}{own}/unlink", {})
        assert refused.status_code == 409
        page = ana.get(f"{placet.url}/account/password")
        page = _send(ana, page, f"{placet.url}/account/password", {"password": PASSWORD})
        assert page.status_code == 200, page.text
        page = ana.get(f"{placet.url}{own}")  # from now on the account has something of its own
        again_by = {"password": PASSWORD, "next": own}
        _send(ana, page, f"{placet.url}/login/again/password", again_by)
        page = _send(ana, ana.get(f"{placet.url}{own}"), f"{placet.url}{own}/unlink", {})
        assert page.url == f"{placet.url}/account/identities"
        assert own not in page.text
        page = _arrive(ana, placet.url, "/account/identities", "/account/identities/link/other")
        assert "Ya puedes entrar con La otra" in page.text

        # And what rests on the provider's session ends with it, the password's session does not.
        page = _arrive(again, placet.url, "/login", "/login/with/other")
        assert _is_signed_in(again, placet.url), page.text
        page = again.get(f"{issuer}/session/end")
        (xsrf,) = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
        again.post(f"{issuer}/session/end/confirm", {"xsrf": xsrf, "logout": "yes"})
        wait_until(lambda: not _is_signed_in(again, placet.url), "the logout arrives", seconds=10)


def _arrive(browser: requests.Session, url: str, page: str, to: str) -> requests.Response:
    """Press the provider's button and follow the way there and back."""
    away = _send(browser, browser.get(f"{url}{page}"), f"{url}{to}", {})
    assert away.status_code == 200, away.text
    return browser.get(away.headers["Refresh"].removeprefix("0;url="))


def _send(
    browser: requests.Session, page: requests.Response, to: str, fields: dict[str, str]
) -> requests.Response:
    shown = dict(re.findall(r'name="(\w+_version|notices_language)" value="([^"]*)"', page.text))
    return browser.post(to, {**shown, **fields, "csrf_token": csrf_token(page.text)})


def _is_signed_in(browser: requests.Session, url: str) -> bool:
    return browser.get(f"{url}/account", allow_redirects=False).status_code == 200
