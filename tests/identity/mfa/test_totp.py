"""The second factor: each code once."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pyotp
import pytest
import sqlalchemy as sa

from identity.accounts.model import WrongCode
from identity.mfa.model import plain_code, step_of
from identity.mfa.service import Proof
from identity.mfa.store import EnrolmentRow, RecoveryCodeRow, TotpRow
from privacy.actor import ANONYMOUS
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    enrol,
    is_signed_in,
    letter,
    register,
    sign_in,
)
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import NOON, World

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238 appendix B


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


def _accept(world: World, code: str) -> Proof | None:
    account = account_of(world)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        try:
            proof = world.placet.identity.second_factor.accept(uow, account, code)
        except WrongCode:
            return None
        uow.session.commit()  # the sign-in around it is tested elsewhere
        return proof


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
    assert _accept(world, newer) is Proof.TOTP
    assert _accept(world, older) is None


def test_one_code_sent_twenty_times_side_by_side_is_accepted_once(
    world: World, mail_server: MailServer
) -> None:
    totp, codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    for code, proof in ((totp.at(world.clock()), Proof.TOTP), (codes[0], Proof.RECOVERY_CODE)):
        barrier = Barrier(20)

        def send(_number: int, code: str = code, barrier: Barrier = barrier) -> Proof | None:
            barrier.wait()
            return _accept(world, code)

        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(send, range(20)))
        assert results.count(proof) == 1
        assert results.count(None) == 19


def test_ten_recovery_codes_are_shown_once_and_each_works_once(
    world: World, mail_server: MailServer
) -> None:
    browser = register(world, mail_server)
    _totp, codes = enrol(world, browser)
    assert len(set(codes)) == 10
    assert all(code not in browser.get("/account/totp").text for code in codes)
    with world.placet.runtime.snapshot() as session:
        stored = session.scalars(sa.select(RecoveryCodeRow.code_digest)).all()
    assert len(stored) == 10
    assert not set(stored) & set(codes)

    for code, status in ((codes[3].lower().replace("-", " "), 303), (codes[3], 422)):
        client = world.client
        sign_in(client)
        assert submit(client, "/login/code", {"code": code}).status_code == status
    assert "<dd>9</dd>" in re.sub(r"\s+", "", browser.get("/account/totp").text)


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
        sign_in(client)
        statuses.append(submit(client, "/login/code", {"code": "000000"}).status_code)
    assert statuses == [422, 422, 422, 422, 429]


def test_the_second_step_lives_exactly_ten_minutes(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    late, in_time = world.client, world.client
    for client in (late, in_time):
        sign_in(client)
    world.clock.advance(minutes=10)
    answer = submit(late, "/login/code", {"code": totp.at(world.clock())})
    assert answer.headers["Location"] == "/login"
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
    page = client.get("/account/totp").text
    found = re.search(r"<code[^>]*>([A-Z2-7 ]{39})</code>", page)
    assert found
    world.clock.advance(minutes=30)
    code = pyotp.TOTP(found[1].replace(" ", "")).at(world.clock())
    form = {"code": code, "csrf_token": csrf_token(page)}
    assert client.post("/account/totp/confirm", data=form).status_code == 409
    assert not has_totp(world)


def test_enrolling_needs_a_fresh_sign_in(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    world.clock.advance(minutes=10)
    page = client.get("/account/totp").text
    answer = client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    assert answer.headers["Location"] == "/login?next=/account/totp&reauth=1"
    assert client.get(answer.headers["Location"]).status_code == 200
    answer = sign_in(client, path=answer.headers["Location"])
    assert answer.status_code == 303
    enrol(world, client)
    assert has_totp(world)


def test_a_second_enrolment_is_refused(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    enrol(world, client)
    page = client.get("/account/totp").text
    answer = client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    assert answer.status_code == 409


def test_removing_needs_a_fresh_code_ends_the_other_sessions_and_is_told(
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

    remove = "/account/totp/remove"
    for wrong in ("000000", totp.at(world.clock())):  # the second has been used
        assert submit(client, "/account/totp", {"code": wrong}, to=remove).status_code == 422
    assert has_totp(world)
    world.clock.advance(seconds=30)
    answer = submit(client, "/account/totp", {"code": totp.at(world.clock())}, to=remove)
    assert answer.headers["Location"] == "/account"
    assert not has_totp(world)
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert sign_in(world.client).headers["Location"] == "/privacy"
    assert "basta la contraseña" in letter(world, mail_server, ANA, 3).text
    assert world.verify().ok
