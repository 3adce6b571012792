"""An access token at the JSON API."""

from identity.provider import bearer as bearer_tokens
from identity.provider.callers import Callers
from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.prepared import Connections
from tests.identity.provider.relying_party import RelyingParty, bearer, register
from tests.support.cast import introduce
from tests.support.world import World


def actor(world: World, header: dict[str, str]) -> Actor | None:
    """Return whom the provider sees behind a request to the JSON API."""
    authenticate = bearer_tokens.authenticator(world.placet.runtime, world.placet.register)
    with world.app.test_request_context("/v1/consents", headers=header):
        return authenticate()


def test_an_applications_own_token_is_the_application_and_nobody_else(
    world: World, shop: RelyingParty
) -> None:
    token = shop.own_token(scope="decisions:evaluate").get_json()["access_token"]
    found = actor(world, bearer(token))
    assert found == Actor(
        kind=ActorKind.APPLICATION,
        scopes=frozenset({Scope.DECISIONS_EVALUATE}),
        client_id=shop.client.client_id,
        domain=shop.client.sector,
        purposes=frozenset({"newsletter"}),
    )
    assert found.name == f"application:{shop.client.client_id}"


def test_a_persons_token_also_names_the_person_and_has_no_more_scope_than_asked(
    world: World, shop: RelyingParty, ana: str
) -> None:
    found = actor(world, bearer(shop.tokens()["access_token"]))
    assert found is not None
    assert (found.subject_id, found.scopes) == (ana, frozenset())
    assert not found.may(Scope.SIGNED_IN)
    shop = register(world, scopes=("openid", "consents:write"))
    shop.meet(ana)
    wider = actor(world, bearer(shop.tokens(scope="openid consents:write")["access_token"]))
    assert wider is not None
    assert wider.scopes == {Scope.CONSENTS_WRITE}


def test_a_persons_token_asks_for_no_decision_by_any_way(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """Not one of an older release either, which may have been issued with the scope."""
    placet, token = world.placet, shop.tokens()["access_token"]
    with placet.runtime.database.engine.begin() as behind:
        behind.exec_driver_sql("UPDATE oauth_token SET scope = 'openid decisions:evaluate'")
    assert "decisions:evaluate" in shop.introspect(token)["scope"]
    callers = Callers(Connections(placet.runtime.database.engine), None, placet.register)
    for found in (actor(world, bearer(token)), callers(f"Bearer {token}", world.clock.now)):
        assert found is not None
        assert (found.subject_id, found.scopes) == (ana, frozenset())
    own = shop.own_token(scope="decisions:evaluate").get_json()["access_token"]
    asked = {
        "subject": {"type": "application", "id": shop.client.client_id},
        "action": {"name": "newsletter"},
        "resource": {"type": "person", "id": shop.userinfo(token).get_json()["sub"]},
    }
    for path in ("evaluation", "evaluations", "search/resource", "search/action", "request"):
        for sent, refused in ((token, True), (own, False)):
            answer = shop.browser.post(f"/access/v1/{path}", json=asked, headers=bearer(sent))
            assert (answer.status_code == 403) is refused, (path, answer.text)
            if refused:
                assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_anything_but_a_valid_access_token_is_nobody(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.tokens()
    token = answer["access_token"]
    assert actor(world, bearer(token)) is not None
    assert actor(world, {"Authorization": f"bearer  {token}"}) is not None
    for value in (
        f"Bearer {answer['id_token']}",
        f"Bearer {token}x",
        f"Bearer {token.removeprefix('pat_')}",
        f"Basic {token}",
        f"{token}",
        "Bearer",
        "Bearer é",
    ):
        assert actor(world, {"Authorization": value}) is None
    assert actor(world, {}) is None


def test_the_api_says_whether_a_token_was_missing_wrong_or_too_small(
    world: World, shop: RelyingParty, ana: str
) -> None:
    def challenge(headers: dict[str, str]) -> tuple[int, str]:
        answer = world.client.post(
            "/v1/pseudonyms", json={"identifiers": ["ana@example.com"]}, headers=headers
        )
        return answer.status_code, answer.headers.get("WWW-Authenticate", "")

    small = shop.own_token(scope="decisions:evaluate").get_json()["access_token"]
    right = shop.own_token(scope="pseudonyms:write").get_json()["access_token"]
    # The browser's session counts for nothing here.
    assert challenge({}) == (401, 'Bearer realm="placet"')
    assert challenge(bearer("pat_x")) == (401, 'Bearer realm="placet", error="invalid_token"')
    assert challenge(bearer(small)) == (403, 'Bearer realm="placet", error="insufficient_scope"')
    assert challenge(bearer(right)) == (200, "")
    world.clock.advance(hours=1)
    assert challenge(bearer(right)) == (401, 'Bearer realm="placet", error="invalid_token"')


def test_a_persons_token_records_that_persons_word_alone(
    world: World, shop: RelyingParty, ana: str
) -> None:
    shop = register(world, scopes=("openid", "consents:write"))
    shop.meet(ana)
    token = shop.tokens(scope="openid consents:write")["access_token"]
    hers = shop.userinfo(token).get_json()["sub"]
    bruno = introduce(world, "bruno@example.com", domain=shop.client.sector)
    word = {
        "purpose": "newsletter",
        "action": "refused",
        "notice_version": 2,
        "language": "es",
        "channel": "web",
    }

    def told(subject: object, sent: str) -> int:
        said = word | {"subject": subject}
        return shop.browser.post("/v1/consents", json=said, headers=bearer(sent)).status_code

    assert told(hers, token) == 201
    for subject in (bruno.pseudonym, {"email": "bruno@example.com"}, {"email": "new@example.com"}):
        assert told(subject, token) == 404
    signal = {"subject": bruno.pseudonym, "gpc": True}
    answer = shop.browser.post("/v1/signals", json=signal, headers=bearer(token))
    assert answer.status_code == 404
    own = shop.own_token(scope="consents:write").get_json()["access_token"]
    assert told(bruno.pseudonym, own) == 201
