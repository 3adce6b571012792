"""A token request and the withdrawal, or the disconnection, that ends what it yields, at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.identity.provider.relying_party import OFFLINE, register, sign_in
from tests.support.cast import give, introduce, withdraw
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.mark.parametrize("grant", ["code", "offline code", "refresh"])
def test_a_withdrawal_and_a_token_request_at_once_wait_in_no_ring(world: World, grant: str) -> None:
    ana = introduce(world)
    sign_in(world, ana.subject_id)
    give(world, ana)
    shop = register(world, **OFFLINE, ends_with_withdrawal=True)
    shop.tokens()  # the ordinary exchange has a shortcut, where the client knows the person
    scope = "openid" if grant == "code" else "openid offline_access"
    used = (
        shop.offline_tokens()["refresh_token"] if grant == "refresh" else shop.granted_code(scope)
    )
    asking, withdrawing = threading.Event(), threading.Event()

    def pause(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        """Stay between the claim and the tokens until the withdrawal is under way."""
        if statement.startswith(("UPDATE oauth_code", "UPDATE oauth_refresh_token")):
            asking.set()
            withdrawing.wait(0.5)

    def ask() -> int:
        answer = shop.refresh(used) if grant == "refresh" else shop.exchange(used)
        return answer.status_code

    def end() -> None:
        withdraw(world, ana)
        withdrawing.set()

    sa.event.listen(world.placet.runtime.database.engine, "after_cursor_execute", pause)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask)
        assert asking.wait(30)
        pool.submit(end).result(60)
        assert asked.result(60) == 200
    with world.placet.runtime.snapshot() as session:
        living = "SELECT count(*) FROM oauth_token WHERE revoked_at IS NULL"
        assert session.connection().exec_driver_sql(living).scalar_one() == 0
