"""What two or more do about a guardian at the same moment counts as often as it may."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.consent.guardian_model import INVITED_WITHIN, InvitationNotValid, Relation
from privacy.consent.letter_limit import LetterCountRow, count_letter, forget_letters
from tests.privacy.consent.test_guardians import MOTHER, token_in
from tests.privacy.consent.test_guardians import child as child  # noqa: PLC0414 - the fixture
from tests.privacy.consent.test_guardians import mother as mother  # noqa: PLC0414 - the fixture
from tests.support.cast import Person, introduce
from tests.support.smtp import MailServer
from tests.support.world import World


def test_an_invitation_accepted_twice_at_the_same_moment_makes_one_guardian(
    world: World, child: Person, mother: Person, mail_server: MailServer
) -> None:
    father = introduce(world, "father@example.com", domain="third")
    guardians, runtime, both = world.placet.people.guardians, world.placet.runtime, Barrier(2)
    with runtime.unit_of_work(SYSTEM) as uow:
        guardians.invite(uow, child.subject_id, MOTHER, "es")
        uow.commit()
    token = token_in(world, mail_server)

    def accept(person: Person) -> bool:
        both.wait()
        try:
            with runtime.unit_of_work(SYSTEM) as uow:
                guardians.accept(uow, token, person.subject_id, Relation.PARENT)
                uow.commit()
        except InvitationNotValid:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(accept, (mother, father)))
    assert sorted(won) == [False, True]
    with runtime.snapshot() as session:
        [made] = guardians.of_child(session, child.subject_id)
    assert made.guardian_id == (mother if won[0] else father).subject_id


def test_of_eight_letters_to_one_address_at_once_as_many_go_as_may(world: World) -> None:
    runtime, together, most = world.placet.runtime, Barrier(8), 3

    def write(_number: int) -> bool:
        together.wait()
        with runtime.unit_of_work(SYSTEM) as uow:
            counted = count_letter(
                uow.session,
                "guardian-invited",
                b"h" * 16,
                at_most=most,
                within=INVITED_WITHIN,
                now=uow.now,
            )
            uow.commit()
        return counted

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == most
    world.clock.now += INVITED_WITHIN
    with runtime.unit_of_work(SYSTEM) as uow:
        forget_letters(uow, INVITED_WITHIN)
    with runtime.snapshot() as session:
        assert session.scalars(sa.select(LetterCountRow)).all() == []
