"""Twenty requests at the same moment: one of them wins. On both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from identity.accounts.mailbox_proof import MAX_CODE_TRIES
from identity.accounts.model import LinkNotValid, WrongCode
from identity.mfa.factors import has_second_factor
from policies.recovery import WAITING
from privacy.actor import ANONYMOUS
from tests.identity.people import (
    ANA,
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    enrol,
    letter,
    register,
    signed_in_by_password,
)
from tests.support.smtp import MailServer
from tests.support.world import World

MANY = 20


def _at_once(act: Callable[[int], object]) -> list[int]:
    """Return which of the many calls were not refused."""
    barrier = Barrier(MANY)

    def one(number: int) -> bool:
        barrier.wait()
        try:
            act(number)
        except (LinkNotValid, WrongCode):
            return False
        return True

    with ThreadPoolExecutor(MANY) as pool:
        won = list(pool.map(one, range(MANY)))
    return [number for number, result in enumerate(won) if result]


def test_reset_links_used_side_by_side_set_one_password(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    recovery, tokens = world.placet.identity.recovery, list[str]()
    for number in range(4):
        with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
            recovery.begin(uow, ANA)
        tokens.append(letter(world, mail_server, ANA, number + 2).path.rsplit("/", 1)[1])

    def reset(number: int) -> None:
        recovery.reset_by_link(ANONYMOUS, tokens[number % 4], f"{OTHER_PASSWORD} {number}")

    won = _at_once(reset)
    assert len(won) == 1
    found = signed_in_by_password(world, ANA, f"{OTHER_PASSWORD} {won[0]}")
    assert found.account == account_of(world)


def test_a_lost_factor_s_recovery_is_proven_and_completed_once(
    world: World, mail_server: MailServer
) -> None:
    identity, service = world.placet.identity, world.placet.identity.lost_factor
    enrol(world, register(world, mail_server))
    world.settle()
    mail_server.clear()
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        service.begin(uow, ANA)
    token = letter(world, mail_server, ANA, 1).path.rsplit("/", 1)[1]
    secrets = list[str]()
    assert (
        len(_at_once(lambda _: secrets.append(service.prove_by_link(ANONYMOUS, token, None)))) == 1
    )
    service.show_password(ANONYMOUS, secrets[0], PASSWORD)
    letter(world, mail_server, ANA, 2)
    world.clock.now += WAITING
    identity.lost_factor_tasks.run_due()
    token = letter(world, mail_server, ANA, 3).path.rsplit("/", 1)[1]
    identity.lost_factor_end.send_code(ANONYMOUS, token)
    code = letter(world, mail_server, ANA, 4).code
    assert MANY > MAX_CODE_TRIES
    assert len(_at_once(lambda _: identity.lost_factor_end.complete(ANONYMOUS, token, code))) == 1
    with world.placet.runtime.snapshot() as session:
        assert not has_second_factor(session, account_of(world).account_id)
    assert world.verify().ok
