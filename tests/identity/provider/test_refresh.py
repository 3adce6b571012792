"""Refresh tokens: rotation, the grace, reuse, and everything that ends them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from identity.accounts.model import AccountDisabled
from identity.credentials.model import FactorRecoveryCompleted
from identity.provider import refresh_store, tokens
from identity.provider.model import RevocationReason, TokensRevoked
from identity.provider.refresh_store import FamilyRow
from privacy.actor import SYSTEM
from privacy.unit_of_work import UnitOfWork
from tests.identity.provider.relying_party import (
    OFFLINE,
    RelyingParty,
    bearer,
    person,
    register,
    sign_in,
)
from tests.identity.provider.test_token import error_of, rows
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def shop(world: World) -> RelyingParty:
    """A client that may get refresh tokens."""
    return register(world, **OFFLINE)


def refreshed(shop: RelyingParty, token: str, **form: str) -> dict[str, Any]:
    """Return what a refresh token yields."""
    answer = shop.refresh(token, **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def end(world: World, how: Callable[[UnitOfWork], object]) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        how(uow)
        uow.commit()


def test_a_refresh_token_needs_the_scope_and_the_grant(
    world: World, shop: RelyingParty, ana: str
) -> None:
    assert set(shop.offline_tokens()) == {
        *("access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token")
    }
    assert "refresh_token" not in shop.offline_tokens(scope="openid")
    without = register(world, scopes=OFFLINE["scopes"])
    assert "refresh_token" not in without.offline_tokens()
    assert error_of(without.refresh("prt_x")) == "unauthorized_client"


def test_each_use_yields_a_new_pair_and_the_same_person(
    world: World, shop: RelyingParty, ana: str
) -> None:
    first = shop.offline_tokens(sid="a" * 32)
    before = shop.read_id_token(first["id_token"]).claims
    world.clock.advance(hours=1)
    second = refreshed(shop, first["refresh_token"])
    assert second["refresh_token"].startswith("prt_")
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert second["expires_in"] == 600
    after = shop.read_id_token(second["id_token"]).claims
    # OpenID Connect Core s. 12.2.
    same = {"iss", "sub", "aud", "auth_time", "amr", "acr", "sid"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["iat"] == int(world.clock.now.timestamp())
    assert "nonce" not in after
    assert shop.userinfo(second["access_token"]).get_json()["sub"] == before["sub"]
    assert refreshed(shop, second["refresh_token"])["refresh_token"] != second["refresh_token"]


def test_within_the_grace_a_used_one_yields_the_very_same_pair(
    world: World, shop: RelyingParty, ana: str
) -> None:
    used = shop.offline_tokens()["refresh_token"]
    once = refreshed(shop, used)
    world.clock.advance(seconds=9, milliseconds=999)
    again = refreshed(shop, used)
    assert again | {"expires_in": 600} == once
    assert again["expires_in"] == 590
    assert rows(world, "SELECT count(*) FROM oauth_refresh_token") == [(2,)]
    # And another one of the same family is as good as before.
    assert shop.refresh(once["refresh_token"]).status_code == 200


@pytest.mark.parametrize("format_", ["jwt", "opaque"])
def test_in_either_format_the_pair_is_the_same_to_the_letter(
    world: World, ana: str, format_: str
) -> None:
    shop = register(world, **OFFLINE, token_format=format_)
    used = shop.offline_tokens()["refresh_token"]
    assert refreshed(shop, used) == refreshed(shop, used)


def test_a_used_one_after_the_grace_ends_the_family(
    world: World, shop: RelyingParty, ana: str
) -> None:
    told: list[TokensRevoked] = []
    world.placet.runtime.subscribe(TokensRevoked, lambda _uow, event: told.append(event))
    other = shop.offline_tokens()
    first = shop.offline_tokens()
    second = refreshed(shop, first["refresh_token"])
    world.clock.advance(seconds=10)
    assert error_of(shop.refresh(first["refresh_token"])) == "invalid_grant"
    assert [(event.subject_id, event.reason) for event in told] == [(ana, "refresh-reused")]
    assert error_of(shop.refresh(second["refresh_token"])) == "invalid_grant"
    for token in (first["access_token"], second["access_token"]):
        assert shop.introspect(token) == {"active": False}
    assert shop.introspect(other["access_token"])["active"] is True
    assert shop.refresh(other["refresh_token"]).status_code == 200


def test_a_used_one_whose_successor_was_used_ends_the_family_within_the_grace(
    shop: RelyingParty, ana: str
) -> None:
    first = shop.offline_tokens()["refresh_token"]
    second = refreshed(shop, first)["refresh_token"]
    third = refreshed(shop, second)
    assert error_of(shop.refresh(first)) == "invalid_grant"
    assert error_of(shop.refresh(third["refresh_token"])) == "invalid_grant"
    assert shop.introspect(third["access_token"]) == {"active": False}


def test_a_second_use_for_something_else_is_refused_and_harms_nothing(
    shop: RelyingParty, ana: str
) -> None:
    used = shop.offline_tokens(scope="openid offline_access purposes:read")["refresh_token"]
    once = refreshed(shop, used, scope="openid")
    assert error_of(shop.refresh(used)) == "invalid_grant"
    assert error_of(shop.refresh(used, scope="purposes:read")) == "invalid_grant"
    assert refreshed(shop, used, scope="openid") == once


def test_a_scope_may_be_narrowed_and_never_widened(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.offline_tokens()["refresh_token"]
    for wider in ("openid purposes:read", "purposes:read", "decisions:evaluate", "openid desk"):
        assert error_of(shop.refresh(token, scope=wider)) == "invalid_scope"
    narrow = refreshed(shop, token, scope="offline_access")
    assert narrow["scope"] == "offline_access"
    assert "id_token" not in narrow
    # The refresh token itself keeps what was granted. RFC 6749 s. 6.
    assert refreshed(shop, narrow["refresh_token"])["scope"] == "offline_access openid"


def test_what_the_client_may_no_longer_have_it_is_not_given_by_an_old_grant(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.offline_tokens(scope="openid offline_access purposes:read")["refresh_token"]
    with world.placet.runtime.database.engine.begin() as behind:
        behind.exec_driver_sql("UPDATE oauth_client SET scopes = 'offline_access openid'")
    assert refreshed(shop, token)["scope"] == "offline_access openid"


def test_a_refresh_token_is_its_clients_alone(world: World, shop: RelyingParty, ana: str) -> None:
    other = register(world, **OFFLINE)
    first = shop.offline_tokens()["refresh_token"]
    assert error_of(other.refresh(first)) == "invalid_grant"
    world.clock.advance(seconds=1)
    second = refreshed(shop, first)["refresh_token"]
    world.clock.advance(minutes=1)
    # Nor does a stranger's try end the family.
    assert error_of(other.refresh(first)) == "invalid_grant"
    assert shop.refresh(second).status_code == 200


def test_a_refresh_token_that_is_none_is_refused(shop: RelyingParty, ana: str) -> None:
    answer = shop.offline_tokens()
    for wrong in ("x", "prt_", answer["access_token"], answer["id_token"], "prt_\0é"):
        assert error_of(shop.refresh(wrong)) == "invalid_grant"
    assert error_of(shop.post("/oauth/token", grant_type="refresh_token")) == "invalid_request"
    for path in ("/oauth/userinfo", "/v1/purposes"):
        headers = bearer(answer["refresh_token"])
        assert shop.browser.get(path, headers=headers).status_code == 401


def test_it_ends_when_idle_and_at_the_latest_half_a_year_after_the_sign_in(
    world: World, shop: RelyingParty, ana: str
) -> None:
    idle = shop.offline_tokens()["refresh_token"]
    token = shop.offline_tokens()["refresh_token"]
    world.clock.advance(days=29, hours=23)
    token = refreshed(shop, token)["refresh_token"]
    world.clock.advance(hours=1)
    assert error_of(shop.refresh(idle)) == "invalid_grant"
    for _ in range(5):
        world.clock.advance(days=29, hours=20)
        token = refreshed(shop, token)["refresh_token"]
    world.clock.advance(hours=19, minutes=59)
    last = refreshed(shop, token)
    assert last["expires_in"] == 60
    world.clock.advance(minutes=1)
    assert error_of(shop.refresh(last["refresh_token"])) == "invalid_grant"
    assert shop.introspect(last["access_token"]) == {"active": False}


def test_everything_that_ends_a_persons_access_ends_it(
    world: World, shop: RelyingParty, ana: str
) -> None:
    client_id = shop.client.client_id
    ways: dict[str, Callable[[UnitOfWork], object]] = {
        "shut": lambda uow: uow.record(AccountDisabled(subject_id=ana, account_id="a" * 32)),
        "recovered": lambda uow: uow.record(
            FactorRecoveryCompleted(subject_id=ana, account_id="a" * 32, recovery_id="b" * 32)
        ),
        "grant": lambda uow: tokens.revoke_of_client_and_subject(
            uow, client_id, ana, RevocationReason.GRANT_ENDED
        ),
    }
    for name, way in ways.items():
        held, code = shop.offline_tokens(), shop.granted_code()
        fresh = refreshed(shop, held["refresh_token"])
        end(world, way)
        assert error_of(shop.refresh(fresh["refresh_token"])) == "invalid_grant", name
        assert error_of(shop.exchange(code)) == "invalid_grant", name
        for token in (held["access_token"], fresh["access_token"]):
            assert shop.introspect(token) == {"active": False}, name


def test_what_one_application_loses_another_keeps(
    world: World, shop: RelyingParty, ana: str
) -> None:
    other = register(world, **OFFLINE)
    theirs, code = other.offline_tokens(), other.granted_code()
    luis = person(world, "luis@example.com")
    sign_in(world, luis)
    his = shop.offline_tokens()
    end(
        world,
        lambda uow: tokens.revoke_of_client_and_subject(
            uow, shop.client.client_id, ana, RevocationReason.GRANT_ENDED
        ),
    )
    assert other.refresh(theirs["refresh_token"]).status_code == 200
    assert other.exchange(code).status_code == 200
    assert shop.refresh(his["refresh_token"]).status_code == 200


def test_a_session_that_ends_leaves_what_was_allowed_for_its_absence(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sid = "5" * 32
    offline = shop.offline_tokens(sid=sid)
    online = shop.offline_tokens(scope="openid", sid=sid)
    elsewhere = shop.offline_tokens(scope="openid", sid="6" * 32)
    code = shop.granted_code(sid=sid)
    end(world, lambda uow: tokens.revoke_of_sid(uow, sid, RevocationReason.SESSION_ENDED))
    assert shop.introspect(online["access_token"]) == {"active": False}
    assert error_of(shop.exchange(code)) == "invalid_grant"
    assert shop.introspect(offline["access_token"])["active"] is True
    assert shop.introspect(elsewhere["access_token"])["active"] is True
    assert shop.refresh(offline["refresh_token"]).status_code == 200


def test_a_client_ends_a_family_by_any_token_of_it_and_an_access_token_alone(
    world: World, shop: RelyingParty, ana: str
) -> None:
    first = shop.offline_tokens()
    second = refreshed(shop, first["refresh_token"])
    assert shop.post("/oauth/revoke", token=second["access_token"]).status_code == 200
    assert shop.introspect(second["access_token"]) == {"active": False}
    assert shop.introspect(first["access_token"])["active"] is True
    stranger = register(world, **OFFLINE)
    assert stranger.post("/oauth/revoke", token=first["refresh_token"]).status_code == 200
    assert shop.introspect(second["refresh_token"])["active"] is True
    form = {"token": first["refresh_token"], "token_type_hint": "access_token"}
    assert shop.post("/oauth/revoke", **form).status_code == 200
    assert error_of(shop.refresh(second["refresh_token"])) == "invalid_grant"
    assert shop.introspect(first["access_token"]) == {"active": False}
    assert shop.post("/oauth/revoke", **form).status_code == 200


def test_a_code_that_comes_again_ends_the_family_that_came_of_it(
    world: World, shop: RelyingParty, ana: str
) -> None:
    code = shop.granted_code()
    second = refreshed(shop, shop.exchange(code).get_json()["refresh_token"])
    world.clock.advance(days=20)
    second = refreshed(shop, second["refresh_token"])
    assert error_of(shop.exchange(code)) == "invalid_grant"
    assert error_of(shop.refresh(second["refresh_token"])) == "invalid_grant"
    assert shop.introspect(second["access_token"]) == {"active": False}


def test_a_disabled_client_gets_nothing_and_what_it_had_stays_ended(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.offline_tokens()["refresh_token"]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, shop.client.client_id)
    assert error_of(shop.refresh(token), 401) == "invalid_client"
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.enable(uow, shop.client.client_id)
    assert error_of(shop.refresh(token)) == "invalid_grant"


def test_an_erased_person_leaves_no_refresh_token(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.offline_tokens()["refresh_token"]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.forget(uow, ana)
        world.placet.subjects.erase(uow, ana)
        uow.commit()
    assert error_of(shop.refresh(token)) == "invalid_grant"
    for table in ("oauth_refresh_family", "oauth_refresh_token", "oauth_token", "oauth_code"):
        assert rows(world, f"SELECT * FROM {table}") == []


def test_introspection_tells_of_a_refresh_token_until_it_is_used(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.offline_tokens()
    now = int(world.clock.now.timestamp())
    told = shop.introspect(answer["refresh_token"])
    assert told == {
        "active": True,
        "iss": "http://localhost:8000",
        "aud": "http://localhost:8000",
        "client_id": shop.client.client_id,
        "scope": "offline_access openid",
        "token_type": "refresh_token",
        "iat": now,
        "exp": now + 30 * 86400,
        "sub": shop.read_id_token(answer["id_token"]).claims["sub"],
    }
    assert register(world, **OFFLINE).introspect(answer["refresh_token"]) == {"active": False}
    refreshed(shop, answer["refresh_token"])
    assert shop.introspect(answer["refresh_token"]) == {"active": False}


def test_no_secret_of_a_family_rests_in_the_database(
    world: World, shop: RelyingParty, ana: str
) -> None:
    first = shop.offline_tokens()
    second = refreshed(shop, first["refresh_token"])
    refreshed(shop, first["refresh_token"])
    kept = repr(
        [
            rows(world, f"SELECT * FROM {table}")
            for table in ("oauth_refresh_family", "oauth_refresh_token", "oauth_token")
        ]
    )
    for answer in (first, second):
        for name in ("refresh_token", "access_token"):
            assert answer[name] not in kept
            assert answer[name][4:] not in kept


def test_a_family_that_was_revoked_at_this_moment_is_not_refreshed(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """The conditional claim itself, apart from the locks before it."""
    shop.offline_tokens()
    [(digest,)] = rows(world, "SELECT token_digest FROM oauth_refresh_token")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        now, late = uow.now, uow.now + timedelta(days=30)

        def claim(at: Any) -> bool:
            return refresh_store.claim(
                uow.session, str(digest), scope="openid", audience=None, at=at
            )

        assert not claim(late)
        assert claim(now)
        assert not claim(now)
        assert uow.session.query(FamilyRow).count() == 1
