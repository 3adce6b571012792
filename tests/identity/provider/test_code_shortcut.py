"""A code exchanged before Flask yields what the ordinary way yields, and leaves the rest to it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from identity.provider import tokens
from identity.provider.model import RevocationReason
from identity.provider.store import TokenRow
from privacy.actor import SYSTEM
from privacy.pseudonyms.store import PseudonymRow
from tests.identity.provider.relying_party import (
    OFFLINE,
    RelyingParty,
    person,
    register,
    sign_in,
)
from tests.identity.provider.test_wsgi import headers, statements
from tests.support.processes import wait_until
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
#: Only the ordinary way asks who the code is for before it claims it.
ORDINARY = "SELECT oauth_code.subject_id"


def send(
    shop: RelyingParty, code: str, *, usual: bool = True, **changes: str | None
) -> TestResponse:
    """Send a code, in the usual form or in one that only the ordinary way reads."""
    charset = "" if usual else "; charset=utf-8"
    return shop.world.app.test_client().post(
        "/oauth/token",
        data=shop.token_form(code, **changes),
        content_type=f"application/x-www-form-urlencoded{charset}",
        headers=shop.header,
    )


def is_short(shop: RelyingParty, code: str, **changes: Any) -> bool:
    """Exchange a code with success, and tell whether it took the shortcut."""
    with statements(shop.world) as asked:
        answer = send(shop, code, **changes)
    assert answer.status_code == 200, answer.text
    return not any(each.startswith(ORDINARY) for each in asked)


@pytest.fixture
def warm(shop: RelyingParty, ana: str) -> RelyingParty:
    """The client in a process that has signed for it once."""
    assert not is_short(shop, shop.code())  # opens the key
    return shop


def test_both_ways_yield_the_same_but_for_chance(
    world: World, warm: RelyingParty, ana: str
) -> None:
    answers, rows = [], []
    for usual in (True, False):
        code = warm.granted_code("openid", sid="5" * 32)
        assert is_short(warm, warm.granted_code("openid"), usual=usual) is usual
        answers.append(send(warm, code, usual=usual))
        with world.placet.runtime.snapshot() as session:
            newest = sa.select(TokenRow).where(TokenRow.sid == "5" * 32).order_by(sa.text("rowid"))
            row = session.scalars(newest).all()[-1]
            left_out = {"token_digest", "code_digest"}
            columns = {c.name for c in TokenRow.__table__.columns} - left_out
            rows.append({name: getattr(row, name) for name in columns})
    short, ordinary = (answer.get_json() for answer in answers)
    assert rows[0] == rows[1]
    lengths = [
        [pair for pair in headers(answer) if pair[0] != "Content-Length"] for answer in answers
    ]
    assert lengths[0] == lengths[1]
    assert list(short) == list(ordinary)
    for member in ("token_type", "expires_in", "scope"):
        assert short[member] == ordinary[member]
    told = [warm.read_id_token(each["id_token"]) for each in (short, ordinary)]
    assert told[0].header == told[1].header
    claims = [each.claims | {"at_hash": ""} for each in told]
    assert claims[0] == claims[1]
    assert warm.introspect(short["access_token"])["active"]
    assert warm.userinfo(short["access_token"]).status_code == 200
    world.settle()
    assert world.verify().ok


def test_a_code_that_comes_again_ends_what_the_shortcut_gave(warm: RelyingParty) -> None:
    code = warm.code()
    token = send(warm, code).get_json()["access_token"]
    again = send(warm, code)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert warm.introspect(token) == {"active": False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": None},
        {"redirect_uri": "https://shop.example/other"},
        {"grant_type": "refresh_token"},
        {"resource": "https://elsewhere.example"},
    ],
)
def test_what_is_wrong_is_refused_and_the_code_stays_good(
    warm: RelyingParty, wrong: dict[str, Any]
) -> None:
    code = warm.code()
    assert send(warm, code, **wrong).status_code == 400
    assert send(warm, code).status_code == 200


def test_what_needs_more_than_two_tokens_takes_the_ordinary_way(world: World, ana: str) -> None:
    shop, jwt = register(world, name="Blog", **OFFLINE), register(world, token_format="jwt")
    send(shop, shop.granted_code("openid"))
    assert is_short(shop, shop.granted_code("openid"))
    assert not is_short(shop, shop.granted_code())
    assert not is_short(jwt, jwt.granted_code("openid"))


def test_another_clients_code_and_a_wrong_secret_are_refused(
    world: World, warm: RelyingParty
) -> None:
    code = warm.code()
    thief = register(world, name="Thief")
    assert send(thief, code).status_code == 400
    assert send(RelyingParty(world, warm.client, "w" * 43), code).status_code == 401
    assert not is_short(warm, code)  # which forgives the failure
    assert is_short(warm, warm.code())


@pytest.mark.parametrize("what", ["account shut", "another name"])
def test_what_changes_between_reading_and_claiming_is_seen(
    world: World, warm: RelyingParty, what: str
) -> None:
    """The answer is signed by then, and nobody gets it."""
    code, runtime = warm.code(), world.placet.runtime
    group = runtime._group
    assert group is not None
    subject_id = world.app.extensions["placet.session"]().subject_id
    before = warm.introspect(send(warm, warm.code()).get_json()["access_token"])["sub"]
    with ThreadPoolExecutor(1) as pool:
        with runtime.unit_of_work(SYSTEM) as uow:
            sent = pool.submit(send, warm, code)
            wait_until(lambda: len(group._queue) == 1, "it has signed and waits")
            if what == "account shut":
                tokens.revoke_of_subject(uow, subject_id, RevocationReason.ACCOUNT_SHUT)
            else:  # as a merge may do
                renamed = sa.update(PseudonymRow).where(PseudonymRow.value == before)
                uow.session.execute(renamed.values(value="ps_other"))
                uow.touch(subject_id)
                world.placet.pseudonyms.ensure_domain(uow, "elsewhere")
            uow.commit()
        answer = sent.result(30)
    if what == "account shut":
        assert answer.status_code == 400
    else:
        assert warm.read_id_token(answer.get_json()["id_token"]).claims["sub"] == "ps_other"


def test_a_person_who_was_never_here_gets_the_ordinary_way_once(
    world: World, warm: RelyingParty
) -> None:
    sign_in(world, person(world, "bruno@example.com"))
    assert not is_short(warm, warm.code())  # makes the pseudonym
    assert is_short(warm, warm.code())
