"""Ana's account and browsers by the services alone, without a page."""

from identity.accounts.client import Client
from identity.accounts.model import Account
from identity.risk.model import AddressProved, Assessment, Device
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from tests.support.world import World

ANA = "ana@example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
#: In Spain, in France, in Japan, by the registries' allocations.
MADRID, PARIS, TOKYO = "88.1.2.3", "80.10.0.1", "126.0.0.1"
HOME = Client(MADRID, FIREFOX)
STRANGER = Client("203.0.113.9", "")


def open_account(world: World, email: str = ANA) -> Account:
    """Open an account with a proved address and without a password."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = world.placet.subjects.by_email(uow, email, keep=True)
        world.placet.subjects.verify_email(uow, subject_id, email)
        account = world.placet.identity.accounts.open(
            uow, subject_id, role=Role.PERSON, language="es"
        )
        uow.commit()
    return account


def remember(
    world: World,
    account: Account,
    client: Client = HOME,
    *,
    token: str | None = None,
    trust: bool = False,
) -> tuple[str, Device]:
    """Have a browser be a known device of the account, as a proof of the address does."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        remembered = world.placet.identity.devices.remember(
            uow, account, client, token=token, trust=trust
        )
        uow.record(
            AddressProved(
                subject_id=account.subject_id,
                account_id=account.account_id,
                device_id=remembered[1].device_id,
            )
        )
        uow.commit()
    return remembered


def assess(
    world: World,
    account: Account,
    client: Client = HOME,
    device: Device | None = None,
    *,
    breached: bool = False,
    completed: bool = True,
) -> Assessment:
    """Have a sign-in be assessed, and the person get in."""
    risk = world.placet.identity.risk
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assessment = risk.assess(
            uow,
            account=account,
            client=client,
            methods=("pwd",),
            device=device,
            breached_password=breached,
        )
        if completed:
            risk.complete(uow, account, assessment.assessment_id)
        uow.commit()
    return assessment
