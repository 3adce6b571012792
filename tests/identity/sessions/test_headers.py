"""The whole set of headers and cookies, on every kind of answer, over http and https."""

from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from tests.support.forms import csrf_token
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

HTTPS = "https://privacy.example.com"
#: A page, a redirect, JSON, a file, a page that is not there, JSON that is an error, a refused form.
ADDRESSES = ("/login", "/account", "/healthz", "/static/placet.css", "/nowhere", "/v1/nothing")


@pytest.fixture
def over_https(database_url: str, instance: Path) -> World:
    """The world as people reach it by https."""
    return make_world(database_url, instance, PLACET_BASE_URL=HTTPS)


def policy_of(answer: Response) -> dict[str, str]:
    """The content security policy by directive."""
    parts = answer.headers["Content-Security-Policy"].split(";")
    return {name: values for name, _, values in (part.strip().partition(" ") for part in parts)}


def check(answer: Response, path: str, *, https: bool) -> None:
    """Hold an answer to the whole set."""
    headers, where = answer.headers, f"{path} {answer.status}"
    policy = policy_of(answer)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    if path.startswith("/v1/"):
        assert policy == {"default-src": "'none'", "frame-ancestors": "'none'"}
    else:
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert not any(word in str(policy) for word in ("unsafe", "*", "http:", "https:"))
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        permissions = set(headers["Permissions-Policy"].split(", "))
        assert {
            "camera=()",
            "geolocation=()",
            "microphone=()",
            "publickey-credentials-get=(self)",
            "publickey-credentials-create=(self)",
        } <= permissions
    if not path.startswith("/static/"):
        assert headers["Cache-Control"] == "no-store", where
    transport = headers.get("Strict-Transport-Security")
    assert transport == ("max-age=31536000; includeSubDomains" if https else None)
    assert "Server" not in headers
    assert "X-Powered-By" not in headers


def cookies(answer: Response) -> dict[str, set[str]]:
    """The attributes of each cookie that an answer sets."""
    found = {}
    for header in answer.headers.getlist("Set-Cookie"):
        pair, *attributes = header.split("; ")
        found[pair.partition("=")[0]] = {each for each in attributes if "=" not in each} | {
            each for each in attributes if each.partition("=")[0] in ("Path", "SameSite", "Domain")
        }
    return found


def test_every_kind_of_answer_carries_the_whole_set(world: World) -> None:
    for address in ADDRESSES:
        with world.client.get(address, headers={"Accept": "text/html"}) as answer:
            check(answer, address, https=False)
    refused = world.client.post("/login", headers={"Accept": "text/html"})
    check(refused, "/login", https=False)
    check(world.client.post("/v1/consents"), "/v1/consents", https=False)


def test_over_https_too_with_strict_transport_and_host_bound_cookies(
    over_https: World,
) -> None:
    for address in ADDRESSES:
        with over_https.client.get(address, base_url=HTTPS) as answer:
            check(answer, address, https=True)
    strict = {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
    client = over_https.client
    seen = cookies(client.get("/login?lang=en", base_url=HTTPS))
    assert set(seen) == {"__Host-placet", "__Host-placet-language"}
    with over_https.app.test_request_context("/", base_url=HTTPS):
        over_https.placet.identity.browser.keep_device("t" * 43)
        seen |= cookies(over_https.app.process_response(over_https.app.response_class()))
    assert "__Host-placet-device" in seen
    assert all(attributes == strict for attributes in seen.values()), seen


def test_signing_out_clears_what_the_browser_kept_and_needs_the_forms_token(world: World) -> None:
    client = world.client
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    token = csrf_token(client.get("/login").text)
    answer = client.post("/logout", data={"csrf_token": token})
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    check(answer, "/logout", https=False)
