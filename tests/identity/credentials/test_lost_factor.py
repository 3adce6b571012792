"""Getting back into an account whose last second factor is lost."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from identity.accounts.client import Client
from identity.accounts.model import Account, LinkNotValid, WrongCode, WrongCredentials
from identity.accounts.store import AccountRow
from identity.credentials.lost_factor import MAX_PROOF_TRIES, LostFactor
from identity.credentials.lost_factor_end import LostFactorEnd
from identity.credentials.store import FactorRecoveryRow, PasswordRow
from identity.mfa.factors import has_second_factor
from identity.risk.devices import Devices
from policies.errors import Conflict, NotFound
from policies.recovery import WAITING
from policies.vocabulary import EventTag, Role
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.audit.leaf import parse_leaf
from privacy.audit.store import Entry
from tests.identity.people import (
    ANA,
    OTHER_PASSWORD,
    PASSWORD,
    Letter,
    account_of,
    enrol,
    is_signed_in,
    letter,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


class Case:
    """Ana, who has a second factor and some recovery codes, and her letters."""

    def __init__(self, world: World, mail: MailServer) -> None:
        self.world, self.mail = world, mail
        self.browser = register(world, mail)
        self.totp, self.codes = enrol(world, self.browser)
        self.account: Account = account_of(world)
        world.settle()
        self.mail.clear()
        self._read = 0

    @property
    def service(self) -> LostFactor:
        return self.world.placet.identity.lost_factor

    @property
    def end(self) -> LostFactorEnd:
        return self.world.placet.identity.lost_factor_end

    def next_letter(self) -> Letter:
        self._read += 1
        return letter(self.world, self.mail, ANA, self._read)

    def no_letter(self) -> bool:
        self.world.settle()
        return len(self.mail.messages_to(ANA)) == self._read

    def begin(self) -> tuple[str, str, str]:
        """Begin one and return its id, the mailed code and the path of the mailed link."""
        with self.world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
            recovery_id = self.service.begin(uow, ANA)
        found = self.next_letter()
        return recovery_id, found.code, found.path

    def proven(self, device: str | None = None) -> str:
        """Begin one, prove the mailbox, and return the browser's secret."""
        recovery_id, code, _path = self.begin()
        return self.service.prove_by_code(ANONYMOUS, recovery_id, code, device)

    def waiting(self) -> Letter:
        """Bring one to its waiting time and return the letter that tells of it."""
        self.service.show_password(ANONYMOUS, self.proven(), PASSWORD)
        return self.next_letter()

    def offered(self) -> str:
        """Bring one past its waiting time and return the path of the last link."""
        self.waiting()
        self.world.clock.advance(hours=72)
        self.work()
        return self.next_letter().path

    def work(self) -> None:
        self.world.clock.advance(minutes=1)
        self.world.placet.identity.lost_factor_tasks.run_due()

    @property
    def ready(self) -> bool:
        with self.world.placet.runtime.snapshot() as session:
            return (
                self.world.placet.identity.lost_factor_waiting.pending(
                    session, self.account.account_id
                )
                is not None
            )

    @property
    def has_factor(self) -> bool:
        with self.world.placet.runtime.snapshot() as session:
            return has_second_factor(session, self.account.account_id)

    def events(self) -> list[str]:
        with self.world.placet.runtime.snapshot() as session:
            leaves = session.scalars(sa.select(Entry.leaf)).all()
        tags = [parse_leaf(leaf).type for leaf in leaves]
        return sorted(t for t in tags if t.startswith("credentials:factor-recovery:"))

    def change(self, statement: sa.Update | sa.Delete) -> None:
        """Make the account another one than the pages make."""
        with self.world.placet.runtime.database.engine.begin() as connection:
            connection.execute(statement)


@pytest.fixture
def case(world: World, mail_server: MailServer) -> Case:
    return Case(world, mail_server)


def _looked_at(client: FlaskClient, path: str) -> None:
    for _ in range(2):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200


def test_a_lost_factor_goes_after_two_proofs_a_wait_and_the_mailbox_again(case: Case) -> None:
    client, clock = case.world.client, case.world.clock
    assert submit(client, "/recover/factor", {"email": ANA}).status_code == 303
    asked = case.next_letter()
    _looked_at(client, asked.path)
    answer = submit(client, "/recover/factor/code", {"code": asked.code})
    assert answer.headers["Location"] == "/recover/factor/proof"
    assert case.no_letter()  # the mailbox alone begins nothing
    form = {"proof": "password", "password": OTHER_PASSWORD}
    assert submit(client, "/recover/factor/proof", form).status_code == 422
    form["password"] = PASSWORD
    assert submit(client, "/recover/factor/proof", form).status_code == 303
    assert "Ahora toca esperar" in client.get("/recover/factor/proof").text

    told = case.next_letter()
    assert "6 de marzo de 2026" in told.text
    _looked_at(client, told.path)
    case.work()
    assert case.no_letter()
    clock.advance(hours=48)
    case.work()
    case.work()
    assert case.next_letter().path == told.path  # the reminder, once, with the same way out
    assert case.no_letter()

    clock.advance(hours=24)
    case.work()
    last = case.next_letter().path
    _looked_at(client, last)
    assert case.has_factor
    assert submit(client, last, {"act": "send"}).status_code == 200
    code = case.next_letter().code
    assert submit(client, last, {"act": "complete", "code": "00000000"}).status_code == 422
    answer = submit(client, last, {"act": "complete", "code": code})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert not case.has_factor
    assert "hemos quitado el" in case.next_letter().text
    assert client.get(last).status_code == 410
    assert sign_in(client).status_code == 303
    assert is_signed_in(client)
    assert case.events() == [
        EventTag.CREDENTIALS_FACTOR_RECOVERY_BEGUN,
        EventTag.CREDENTIALS_FACTOR_RECOVERY_COMPLETED,
        EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED,
    ]
    assert case.world.verify().ok


def test_completing_ends_every_session_and_device(case: Case) -> None:
    token = case.offered().rsplit("/", 1)[1]
    sessions, clock = case.world.placet.identity.sessions, case.world.clock
    with case.world.placet.runtime.unit_of_work(SYSTEM) as uow:
        secret = sessions.begin(uow, case.account, ("pwd",), Client(None, ""))
        uow.commit()

    def lives() -> bool:
        with case.world.placet.runtime.snapshot() as session:
            return sessions.find(session, secret, now=clock()) is not None

    assert lives()
    case.end.send_code(ANONYMOUS, token)
    code = case.next_letter().code
    assert case.end.complete(ANONYMOUS, token, code)
    assert not lives()
    with case.world.placet.runtime.snapshot() as session:
        assert Devices.of_account(session, case.account.account_id) == []


def test_the_wait_ends_at_the_exact_instant(case: Case) -> None:
    case.waiting()
    clock, tasks = case.world.clock, case.world.placet.identity.lost_factor_tasks
    case.change(sa.update(FactorRecoveryRow).values(reminded_at=clock.now))
    clock.now += WAITING - timedelta(microseconds=1)
    tasks.run_due()
    assert case.no_letter()
    clock.now += timedelta(minutes=1)
    tasks.run_due()
    assert "Terminar la recuperación" in case.next_letter().text


def test_a_letter_s_button_cancels_it_once(case: Case) -> None:
    path = case.waiting().path
    assert submit(case.world.client, path, {}).headers["Location"] == "/login"
    assert not case.ready
    assert "se ha cancelado" in case.next_letter().text
    assert case.world.client.get(path).status_code == 410
    case.world.clock.advance(hours=72)
    case.work()
    assert case.no_letter()
    assert case.has_factor
    assert case.world.client.get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 410


def test_the_account_s_page_shows_it_and_cancels_it(case: Case) -> None:
    case.waiting()
    page = case.browser.get("/account")
    assert "Cancelar la recuperación" in page.text
    answer = submit(case.browser, "/account", {}, to="/account/factor-recovery/cancel")
    assert answer.headers["Location"] == "/account"
    assert not case.ready
    assert "Cancelar la recuperación" not in case.browser.get("/account").text


def test_signing_in_with_the_factor_cancels_it(case: Case) -> None:
    case.waiting()
    client = case.world.client
    assert sign_in(client).headers["Location"].startswith("/login/code")
    assert case.ready  # the password alone does not
    case.world.clock.advance(seconds=60)
    submit(client, "/login/code", {"code": case.totp.at(case.world.clock())})
    assert is_signed_in(client)
    assert not case.ready


def test_known_and_unknown_addresses_get_the_same_answer(case: Case) -> None:
    answers = list[list[tuple[int, str | None, str]]]()
    for email in (ANA, "nobody@example.com"):
        client, seen = case.world.client, list[tuple[int, str | None, str]]()
        answer = submit(client, "/recover/factor", {"email": email})
        seen.append((answer.status_code, answer.headers["Location"], ""))
        for _ in range(6):
            answer = submit(client, "/recover/factor/code", {"code": "00000000"})
            text = answer.text.partition("<h1>")[2].partition("<form")[0]
            seen.append((answer.status_code, answer.headers.get("Location"), text))
        answers.append(seen)
    assert answers[0] == answers[1]
    assert [status for status, _, _ in answers[0]] == [303, *[422] * 5, 410]
    case.world.settle()
    assert case.mail.messages_to("nobody@example.com") == []


def test_an_account_without_a_second_factor_gets_no_letter(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    service = world.placet.identity.lost_factor
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        service.begin(uow, ANA)
    world.settle()
    assert len(mail_server.messages_to(ANA)) == 1  # the registration's
    with pytest.raises(NotFound), world.placet.runtime.unit_of_work(SYSTEM) as uow:
        service.start_by_staff(uow, account_of(world))


def test_only_the_browser_that_pressed_the_mailed_button_goes_on(case: Case) -> None:
    thief, ana = case.world.client, case.world.client
    submit(thief, "/recover/factor", {"email": ANA})
    path = case.next_letter().path
    answer = submit(ana, path, {})
    assert answer.headers["Location"] == "/recover/factor/proof"
    assert thief.get("/recover/factor/proof").headers["Location"] == "/recover/factor"
    form = {"code": "00000000"}
    assert submit(thief, "/recover/factor/code", form).status_code == 410
    assert ana.get("/recover/factor/proof").status_code == 200
    assert case.world.client.get(path).status_code == 410


def test_a_recovery_code_is_a_proof_and_is_used_up(case: Case) -> None:
    secret = case.proven()
    with pytest.raises(WrongCode):
        case.service.show_recovery_code(ANONYMOUS, secret, "AAAA-AAAA-AAAA-AAAA")
    case.service.show_recovery_code(ANONYMOUS, secret, case.codes[0])
    assert case.ready
    with case.world.placet.runtime.snapshot() as session:
        left = case.world.placet.identity.recovery_codes.left(session, case.account.account_id)
    assert left == len(case.codes) - 1


def test_the_tries_at_a_second_proof_are_few(case: Case) -> None:
    secret = case.proven()
    for _ in range(MAX_PROOF_TRIES):
        case.world.clock.advance(minutes=1)
        with pytest.raises(WrongCredentials):
            case.service.show_password(ANONYMOUS, secret, OTHER_PASSWORD)
    case.world.clock.advance(minutes=1)
    with pytest.raises(LinkNotValid):
        case.service.show_password(ANONYMOUS, secret, PASSWORD)
    assert not case.ready


def test_a_password_that_came_by_mail_is_no_second_proof(case: Case) -> None:
    submit(case.world.client, "/recover", {"email": ANA})
    path = case.next_letter().path
    submit(case.world.client, path, {"password": OTHER_PASSWORD})
    case.next_letter()
    secret = case.proven()
    case.service.show_password(ANONYMOUS, secret, OTHER_PASSWORD)
    assert not case.ready
    with case.world.placet.runtime.snapshot() as session:
        assert not case.service.standing(session, secret).has_password


def test_a_browser_of_thirty_days_is_a_proof_and_a_younger_or_merely_mailed_one_is_not(
    case: Case,
) -> None:
    def remember(*, signed_in: bool) -> str:
        with case.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            token, _device = case.world.placet.identity.devices.remember(
                uow, case.account, Client(None, ""), token=None, trust=False, signed_in=signed_in
            )
            uow.commit()
        return token

    known, mailed = remember(signed_in=True), remember(signed_in=False)
    case.world.clock.advance(days=29)
    case.proven(known)
    assert not case.ready
    case.world.clock.advance(days=1)
    case.proven(mailed)
    assert not case.ready
    case.proven(known)
    assert case.ready


def test_a_browser_that_got_in_by_a_mailed_password_alone_is_only_the_mailbox_once_more(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    thief = world.client  # reads her mail, before she had a second factor
    submit(thief, "/recover", {"email": ANA})
    link = letter(world, mail_server, ANA, 2).path
    submit(thief, link, {"password": OTHER_PASSWORD})
    mail_server.clear()
    assert sign_in(thief, ANA, OTHER_PASSWORD, known=False).headers["Location"] == "/login/code"
    world.settle()
    letters = " ".join(str(each.get_body(("plain",))) for each in mail_server.messages_to(ANA))
    code = re.search(r"\b\d{8}\b", letters)
    assert code
    assert submit(thief, "/login/code", {"code": code[0]}).status_code == 303
    assert is_signed_in(thief)
    world.clock.advance(days=30)
    token = thief.get_cookie("placet-device")
    assert token
    account_id, now = account_of(world).account_id, world.clock()
    with world.placet.runtime.snapshot() as session:
        device = Devices.find(session, account_id, token.value, now=now)
    assert device is not None
    assert device.signed_in_since is None  # so it is no proof: `policies.recovery`


def test_a_privileged_account_needs_somebody_of_the_staff(case: Case) -> None:
    case.change(sa.update(AccountRow).values(role=Role.DPO.value))
    secret = case.proven()
    case.service.show_password(ANONYMOUS, secret, PASSWORD)
    assert not case.ready
    with case.world.placet.runtime.snapshot() as session:
        assert case.service.standing(session, secret).by_staff

    with case.world.placet.runtime.unit_of_work(SYSTEM) as uow:
        case.service.start_by_staff(uow, account_of(case.world))
        uow.commit()
    found = case.next_letter()
    assert "El equipo de" in found.text
    assert not case.ready
    submit(case.world.client, found.path, {})
    assert case.ready
    with pytest.raises(Conflict), case.world.placet.runtime.unit_of_work(SYSTEM) as uow:
        case.service.start_by_staff(uow, case.account)


def test_who_asks_again_while_one_waits_is_told_until_when(case: Case) -> None:
    told = case.waiting()
    with case.world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        case.service.begin(uow, ANA)
    assert case.next_letter().path == told.path


def test_an_account_with_a_passkey_alone_goes_on_to_set_a_password(case: Case) -> None:
    case.change(sa.delete(PasswordRow))
    secret = case.proven()
    with case.world.placet.runtime.snapshot() as session:
        assert not case.service.standing(session, secret).has_password
    with pytest.raises(WrongCredentials):
        case.service.show_password(ANONYMOUS, secret, PASSWORD)
    case.service.show_recovery_code(ANONYMOUS, secret, case.codes[0])
    for _ in range(2):  # a recovery code was used; the wait begins
        case.next_letter()
    case.world.clock.advance(hours=72)
    case.work()
    path, client = case.next_letter().path, case.world.client
    submit(client, path, {"act": "send"})
    form = {"act": "complete", "code": case.next_letter().code}
    assert submit(client, path, form).headers["Location"] == "/recover"


def test_a_password_too_short_to_stand_alone_must_be_changed_afterwards(case: Case) -> None:
    case.change(sa.update(PasswordRow).values(long_enough_alone=False))
    token = case.offered().rsplit("/", 1)[1]
    case.end.send_code(ANONYMOUS, token)
    case.end.complete(ANONYMOUS, token, case.next_letter().code)
    with case.world.placet.runtime.snapshot() as session:
        assert case.world.placet.identity.passwords.must_change(session, case.account.account_id)


def test_what_nobody_completes_expires_and_is_forgotten(case: Case) -> None:
    token = case.offered().rsplit("/", 1)[1]
    case.world.clock.advance(days=7)
    with pytest.raises(LinkNotValid):
        case.end.send_code(ANONYMOUS, token)
    case.work()
    assert EventTag.CREDENTIALS_FACTOR_RECOVERY_EXPIRED in case.events()
    with case.world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(FactorRecoveryRow)).all() == []
    assert case.has_factor
