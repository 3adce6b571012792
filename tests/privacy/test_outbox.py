from email.message import EmailMessage

import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.mail import smtp_transport
from privacy.outbox import LEASE, RETRY_WAITS, OutboxRow
from tests.support.smtp import MailServer
from tests.support.world import World

ANA = "ana@example.com"


def _send(world: World, to: str = ANA, *, commit: bool = True) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.outbox.put(uow, "test", {"to": to, "code": "12345678", "text": "secret text"})
        if commit:
            uow.commit()


def _rows(world: World) -> list[OutboxRow]:
    with world.placet.runtime.snapshot() as session:
        return list(session.scalars(sa.select(OutboxRow)))


def _row(world: World) -> OutboxRow:
    (row,) = _rows(world)
    return row


def test_a_side_effect_happens_once_and_only_if_its_cause_was_committed(world: World) -> None:
    sent: list[object] = []
    world.placet.outbox.deliver_with("test", sent.append)
    _send(world, commit=False)
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 0
    _send(world)
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 1
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 0
    assert sent == [{"to": ANA, "code": "12345678", "text": "secret text"}]
    assert _rows(world) == []  # nothing is kept of what is not needed any more


def test_the_message_rests_sealed(world: World) -> None:
    _send(world)
    row = _row(world)
    assert row.sealed is not None
    assert b"secret text" not in row.sealed
    assert ANA.encode() not in row.sealed


def test_a_failure_is_kept_with_its_reason_and_tried_again_until_given_up(world: World) -> None:
    tries = 0

    def refuse(_message: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError("the server is away")

    world.placet.outbox.deliver_with("test", refuse)
    _send(world)
    for number, wait in enumerate(RETRY_WAITS, start=1):
        assert world.placet.outbox.deliver_due(world.placet.runtime) == 1
        assert world.placet.outbox.deliver_due(world.placet.runtime) == 0  # not before its time
        row = _row(world)
        assert (row.state, row.attempts) == ("waiting", number)
        assert row.last_error == "OSError: the server is away"
        assert row.next_attempt_at == world.clock.now + wait
        world.clock.now += wait
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 1
    assert _row(world).state == "failed"
    assert _row(world).sealed is None  # nobody will send it: the address and the code go
    world.clock.advance(days=365)
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 0
    assert tries == len(RETRY_WAITS) + 1


def test_what_a_dead_worker_had_taken_is_sent_by_the_next_one(world: World) -> None:
    def die(_message: object) -> None:
        raise KeyboardInterrupt

    sent: list[object] = []
    world.placet.outbox.deliver_with("test", die)
    _send(world)
    try:
        world.placet.outbox.deliver_due(world.placet.runtime)
    except KeyboardInterrupt:
        world.placet.outbox.deliver_with("test", sent.append)
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 0
    world.clock.now += LEASE
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 1
    assert len(sent) == 1


def test_a_refusing_mail_server_is_tried_again_and_named_without_the_address(
    world: World, mail_server: MailServer
) -> None:
    transport = smtp_transport(world.placet.settings.mail)

    def send(message: object) -> None:
        assert isinstance(message, dict)
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "placet@localhost", message["to"], "x"
        letter.set_content("x")
        transport(letter)

    world.placet.outbox.deliver_with("test", send)
    mail_server.fail_next(1, 451)
    _send(world)
    world.placet.outbox.deliver_due(world.placet.runtime)
    row = _row(world)
    assert row.state == "waiting"
    assert row.last_error is not None
    assert "451" in row.last_error
    assert ANA not in row.last_error
    world.clock.now += RETRY_WAITS[0]
    world.placet.outbox.deliver_due(world.placet.runtime)
    assert mail_server.wait_for(to=ANA)["Subject"] == "x"


def test_a_letter_that_breaks_its_sender_is_given_up_and_stops_no_other(world: World) -> None:
    sent: list[object] = []

    def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["to"] == ANA:
            raise UnicodeEncodeError("ascii", ANA, 0, 1, "ordinal not in range")
        sent.append(message)

    world.placet.outbox.deliver_with("test", send)
    _send(world)
    _send(world, "bruno@example.com")
    assert world.placet.outbox.deliver_due(world.placet.runtime) == 2
    assert len(sent) == 1
    for wait in RETRY_WAITS:
        world.clock.now += wait
        world.placet.outbox.deliver_due(world.placet.runtime)
    row = _row(world)
    assert row.state == "failed"
    assert row.last_error == "UnicodeEncodeError"  # its text would hold the address


def test_a_slow_worker_that_fails_after_another_sent_it_undoes_nothing(world: World) -> None:
    """The lease ran out, the other succeeded; the letter stays sent and the queue goes on."""
    sent: list[object] = []

    def slow(_message: object) -> None:
        world.clock.now += LEASE
        world.placet.outbox.deliver_with("test", sent.append)
        world.placet.outbox.deliver_due(world.placet.runtime)
        raise OSError("too late")

    world.placet.outbox.deliver_with("test", slow)
    _send(world)
    world.placet.outbox.deliver_due(world.placet.runtime, limit=1)
    assert len(sent) == 1
    assert _rows(world) == []
    world.clock.advance(days=1)
    _send(world, "bruno@example.com")
    world.placet.outbox.deliver_due(world.placet.runtime)
    assert len(sent) == 2
