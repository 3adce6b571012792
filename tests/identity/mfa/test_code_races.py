"""One code in many requests at once: exactly one wins, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from identity.mfa.service import Proof
from tests.identity.mfa.codes import accept
from tests.identity.people import enrol, register
from tests.support.smtp import MailServer
from tests.support.world import World


def test_one_code_sent_twenty_times_side_by_side_is_accepted_once(
    world: World, mail_server: MailServer
) -> None:
    totp, codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    for code, proof in ((totp.at(world.clock()), Proof.TOTP), (codes[0], Proof.RECOVERY_CODE)):
        barrier = Barrier(20)

        def send(_number: int, code: str = code, barrier: Barrier = barrier) -> Proof | None:
            barrier.wait()
            return accept(world, code)

        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(send, range(20)))
        assert results.count(proof) == 1
        assert results.count(None) == 19
