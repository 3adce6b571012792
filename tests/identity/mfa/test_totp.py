"""The second factor: each code once."""

import re
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa

from identity.mfa.model import plain_code, step_of
from identity.mfa.service import Proof
from identity.mfa.store import EnrolmentRow, RecoveryCodeRow, TotpRow
from policies.errors import Conflict
from privacy.actor import ANONYMOUS
from tests.identity.mfa.codes import accept
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    enrol,
    is_signed_in,
    letter,
    prove_again,
    register,
    sign_in,
)
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import NOON, World

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238 appendix B


@pytest.fixture
def database_kind() -> str:
    """One is enough: the races are run on both."""
    return "sqlite"


@pytest.mark.parametrize(
    ("offset", "found"), [(-60, None), (-30, -1), (0, 0), (29, 0), (30, 1), (60, None)]
)
def test_a_code_is_taken_one_step_early_or_late(offset: int, found: int | None) -> None:
    at_step_begin = NOON
    code = pyotp.TOTP(SECRET).at(at_step_begin + timedelta(seconds=offset))
    now_step = int(at_step_begin.timestamp()) // 30
    step = step_of(SECRET, code, at_step_begin)
    assert step == (None if found is None else now_step + found)


def test_the_code_of_the_standard_is_ours() -> None:
    """RFC 6238 appendix B, SHA-1, the last six of the eight digits, at 1111111109 s."""
    at = NOON - (NOON - NOON.fromtimestamp(1111111109, NOON.tzinfo))
    assert step_of(SECRET, "081804", at) == 1111111109 // 30


def test_what_is_typed_may_be_spaced() -> None:
    assert plain_code(" 123 456 ") == "123456"
    assert plain_code("abcd-efgh") == "ABCDEFGH"


def test_a_code_signs_in_once(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    used = totp.at(world.clock())
    client = world.client
    sign_in(client)
    assert submit(client, "/login/code", {"code": used}).status_code == 422  # spent on enrolling
    world.clock.advance(seconds=30)
    code = totp.at(world.clock())
    assert submit(client, "/login/code", {"code": code}).headers["Location"] == "/privacy"
    assert is_signed_in(client)
    again = world.client
    sign_in(again)
    assert submit(again, "/login/code", {"code": code}).status_code == 422
    assert not is_signed_in(again)


def test_an_older_code_is_refused_after_a_newer_one(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    older, newer = totp.at(world.clock() - timedelta(seconds=30)), totp.at(world.clock())
    assert accept(world, newer) is Proof.TOTP
    assert accept(world, older) is None


def test_ten_recovery_codes_are_shown_once_and_each_works_once(
    world: World, mail_server: MailServer
) -> None:
    browser = register(world, mail_server)
    _totp, codes = enrol(world, browser)
    assert len(set(codes)) == 10
    assert all(code not in browser.get("/account/security").text for code in codes)
    with world.placet.runtime.snapshot() as session:
        stored = session.scalars(sa.select(RecoveryCodeRow.code_digest)).all()
    assert len(stored) == 10
    assert not set(stored) & set(codes)

    for code, status in ((codes[3].lower().replace("-", " "), 303), (codes[3], 422)):
        client = world.client
        sign_in(client)
        assert submit(client, "/login/code", {"code": code}).status_code == status
    assert "Te quedan 9." in browser.get("/account/security").text


def test_another_account_s_codes_open_nothing(world: World, mail_server: MailServer) -> None:
    enrol(world, register(world, mail_server, ANA))
    totp, codes = enrol(world, register(world, mail_server, BRUNO))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client, ANA)
    for code in (totp.at(world.clock()), codes[0]):
        assert submit(client, "/login/code", {"code": code}).status_code == 422


def test_the_second_step_ends_after_five_wrong_codes(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    client = world.client
    sign_in(client)
    for _ in range(5):
        world.clock.advance(seconds=60)
        assert submit(client, "/login/code", {"code": "000000"}).status_code == 422
    world.clock.advance(seconds=60)
    answer = submit(client, "/login/code", {"code": totp.at(world.clock())})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert not is_signed_in(client)


def test_codes_are_slowed_down_over_several_sign_ins(world: World, mail_server: MailServer) -> None:
    enrol(world, register(world, mail_server))
    statuses = []
    for _ in range(5):
        client = world.client
        sign_in(client, known=False)
        statuses.append(submit(client, "/login/code", {"code": "000000"}).status_code)
    assert statuses == [422, 422, 422, 422, 429]


def test_the_second_step_lives_exactly_ten_minutes(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    late, in_time = world.client, world.client
    for client in (late, in_time):
        sign_in(client)
    world.clock.advance(minutes=10)
    assert late.get("/login/code").headers["Location"] == "/login"
    world.clock.now -= timedelta(microseconds=1)
    answer = submit(in_time, "/login/code", {"code": totp.at(world.clock())})
    assert answer.headers["Location"] == "/privacy"


def test_enrolling_shows_the_secret_as_drawing_and_as_text(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    page = client.get("/account/totp").text
    assert "<svg" not in page.split("<main")[1]  # looking makes no secret
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EnrolmentRow)) == 0
    client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    main = client.get("/account/totp").text.split("<main")[1]
    assert re.search(r'<svg viewBox="0 0 (\d+) \1" class="segno">', main)  # whole at every size
    found = re.search(r"<code[^>]*>([A-Z2-7 ]{39})</code>", main)
    assert found
    secret = found[1].replace(" ", "")
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(EnrolmentRow)).one()
    assert secret.encode() not in row.secret_sealed
    assert not has_totp(world)
    answer = submit(client, "/account/totp", {"code": "000000"}, to="/account/totp/confirm")
    assert answer.status_code == 422
    assert not has_totp(world)


def has_totp(world: World) -> bool:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(TotpRow)) == 1


def test_a_secret_that_is_not_confirmed_within_half_an_hour_is_void(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    page = client.get("/account/totp").text
    client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    world.clock.advance(minutes=30)
    account, second_factor = account_of(world), world.placet.identity.second_factor
    for moment, waits in (
        (world.clock(), False),
        (world.clock() - timedelta(microseconds=1), True),
    ):
        with world.placet.runtime.snapshot() as session:
            secret = second_factor.secret_to_confirm(session, account, now=moment)
        assert (secret is not None) is waits
    with pytest.raises(Conflict), world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        second_factor.confirm(uow, account, "000000")
    assert not has_totp(world)


def test_enrolling_needs_a_fresh_sign_in(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    world.clock.advance(minutes=10)
    assert client.get("/account/totp").headers["Location"].startswith("/login/again")
    assert prove_again(client, "/account/totp").headers["Location"] == "/account/totp"
    enrol(world, client)
    assert has_totp(world)


def test_a_second_enrolment_is_refused(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    enrol(world, client)
    page = client.get("/account/totp").text
    answer = client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    assert answer.status_code == 409


def test_removing_ends_the_other_sessions_and_is_told(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    totp, _codes = enrol(world, client)
    assert "hace falta también" in letter(world, mail_server, ANA, 2).text
    world.clock.advance(seconds=60)
    elsewhere = world.client
    sign_in(elsewhere)
    submit(elsewhere, "/login/code", {"code": totp.at(world.clock())})
    assert is_signed_in(elsewhere)

    answer = submit(client, "/account/totp", {}, to="/account/totp/remove")
    assert answer.headers["Location"] == "/account/security"
    assert not has_totp(world)
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert sign_in(world.client).headers["Location"] == "/privacy"
    assert "ya no pide el código" in letter(world, mail_server, ANA, 3).text
    assert world.verify().ok
