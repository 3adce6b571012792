"""Showing a code of a second factor by the service alone."""

from identity.accounts.model import WrongCode
from identity.mfa.service import Proof
from privacy.actor import ANONYMOUS
from tests.identity.people import account_of
from tests.support.world import World


def accept(world: World, code: str) -> Proof | None:
    """Show a code as Ana's; None where it is refused."""
    account = account_of(world)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        try:
            proof = world.placet.identity.second_factor.accept(uow, account, code)
        except WrongCode:
            return None
        uow.session.commit()  # the sign-in around it is tested elsewhere
        return proof
