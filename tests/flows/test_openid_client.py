"""npm's openid-client, which somebody else wrote, as a second relying party."""

from playwright.sync_api import Browser

from tests.flows import steps
from tests.flows.steps import visitor
from tests.support.deployment import Deployment
from tests.support.node import run_node
from tests.support.sample import DATABASES
from tests.support.smtp import MailServer

CALLBACK = "http://localhost:9/callback"  # nobody listens: the client reads the redirect itself
SCOPE = "decisions:evaluate"


def _visit(placet: Deployment, cookie: str) -> dict[str, object]:
    """Sign the person with this session in at a new application; return what it learned."""
    client = placet.add_client(
        *("Otra tienda", "--redirect-uri", CALLBACK, "--purpose", "newsletter"),
        *("--scope", "openid", "--scope", SCOPE),
    )
    asked = {
        "issuer": placet.url,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "redirect_uri": CALLBACK,
        "cookie": cookie,
        "scope": SCOPE,
    }
    learned: dict[str, object] = run_node("relying_party.mjs", asked)
    return {**learned, "client_id": client["client_id"]}


@DATABASES
def test_openid_client_signs_a_person_in_and_sees_tokens_end(
    placet: Deployment, mail_server: MailServer, browser: Browser
) -> None:
    with visitor(browser, placet.url) as ana:
        steps.register(ana, mail_server, "ana@example.com")
        cookies = {each["name"]: each["value"] for each in ana.page.context.cookies()}
    session = f"placet={cookies['placet']}"

    learned = _visit(placet, session)
    claims = learned["claims"]
    assert isinstance(claims, dict)
    assert learned["hops"] == [303]  # straight back: she is signed in already
    assert claims["iss"] == placet.url
    assert claims["aud"] == learned["client_id"]
    assert claims["amr"] == ["pwd"]
    assert claims["auth_time"] <= claims["iat"] < claims["exp"]
    assert learned["userinfo"] == {"sub": claims["sub"]}  # and nothing more
    assert learned["activeBefore"] is True
    assert learned["replay"] == "invalid_grant"
    assert learned["activeAfterReplay"] is False
    assert learned["ownScope"] == SCOPE
    assert (learned["ownBefore"], learned["ownAfter"]) == (True, False)

    again = _visit(placet, session)["claims"]
    assert isinstance(again, dict)
    assert again["sub"] != claims["sub"]  # another application knows her by another name
