"""One refresh token, and one client assertion, used twenty times at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from authlib.oauth2.rfc6749.errors import InvalidGrantError

from identity.provider.model import TokenAnswer
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from tests.identity.provider.relying_party import OFFLINE, RelyingParty, register, register_with_key
from tests.identity.provider.test_code_race import AT_ONCE, at_once
from tests.identity.provider.test_token import rows
from tests.support.world import World


def used_at_once(world: World, shop: RelyingParty, token: str) -> list[TokenAnswer | None]:
    """Return what each of twenty transactions that are open together yielded."""
    form = {"grant_type": "refresh_token", "refresh_token": token}
    is_sqlite = world.placet.runtime.database.is_sqlite

    def use(barrier: threading.Barrier) -> TokenAnswer | None:
        if is_sqlite:  # a writer waits at the door: the race is for who opens it first
            barrier.wait()
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            if not is_sqlite:  # all transactions are open before any looks at the token
                barrier.wait()
            try:
                return world.placet.provider.exchange(uow, shop.client, form)
            except InvalidGrantError:
                return None

    return [each for each in at_once(use) if each is None or isinstance(each, TokenAnswer)]


def test_one_refresh_token_used_twenty_times_at_once_yields_one_pair_within_the_grace_and_none_after(
    world: World, ana: str
) -> None:
    shop = register(world, **OFFLINE)
    token = shop.offline_tokens()["refresh_token"]
    answers = used_at_once(world, shop, token)
    assert len(answers) == AT_ONCE
    [answer] = {secrets_of(each) for each in answers}
    assert answer is not None
    # The one that was used and its one successor; the first access token and one more.
    assert rows(world, "SELECT count(*) FROM oauth_refresh_token") == [(2,)]
    assert rows(world, "SELECT count(*) FROM oauth_token") == [(2,)]
    assert shop.introspect(answer[0])["active"] is True

    world.clock.advance(seconds=10)
    assert used_at_once(world, shop, token) == [None] * AT_ONCE
    assert shop.introspect(answer[0]) == {"active": False}
    assert shop.refresh(answer[1]).status_code == 400
    world.settle()
    assert world.verify().ok


def secrets_of(answer: TokenAnswer | None) -> tuple[str, str, str] | None:
    """Return the secrets of an answer."""
    if answer is None:
        return None
    return answer.access_token, answer.refresh_token or "", answer.id_token or ""


def test_what_is_refreshed_while_the_account_is_being_shut_ends_with_it(
    world: World, ana: str
) -> None:
    shop = register(world, **OFFLINE)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        account = world.placet.identity.accounts.open(uow, ana, role=Role.PERSON, language="es")
        uow.commit()
    token = shop.offline_tokens()["refresh_token"]
    refreshing, shut = threading.Event(), threading.Event()

    def pause(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        """Stay between the checks and the claim until the account was shut, which must wait."""
        if statement.startswith("UPDATE oauth_refresh_token"):
            refreshing.set()
            shut.wait(0.5)

    def disable() -> None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.administration.disable(uow, account.account_id, "a stranger has it")
        shut.set()

    sa.event.listen(world.placet.runtime.database.engine, "before_cursor_execute", pause)
    with ThreadPoolExecutor(2) as pool:
        refreshed = pool.submit(shop.refresh, token)
        assert refreshing.wait(30)
        pool.submit(disable).result(60)
        answer = refreshed.result(60)
    assert answer.status_code == 200
    assert shop.introspect(answer.get_json()["access_token"]) == {"active": False}
    assert shop.refresh(answer.get_json()["refresh_token"]).status_code == 400


def test_one_assertion_sent_by_twenty_requests_at_once_counts_once(world: World) -> None:
    party = register_with_key(world, redirect_uris=(), scopes=("decisions:evaluate",))
    form = party.proof(party.assertion()) | {"grant_type": "client_credentials"}

    def use(barrier: threading.Barrier) -> int:
        barrier.wait()
        return world.client.post("/oauth/token", data=form).status_code

    answers = at_once(use)
    assert answers.count(200) == 1
    # The others failed, and some were slowed down for it.
    assert {each for each in answers if each != 200} <= {401, 429}
    assert rows(world, "SELECT count(*) FROM oauth_client_assertion") == [(1,)]
