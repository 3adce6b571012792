"""What an answer must not tell: whether an address has an account."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from identity.accounts.store import AttemptRow
from tests.identity.people import ANA, PASSWORD, register
from tests.support.forms import csrf_token
from tests.support.smtp import MailServer
from tests.support.world import World


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Note what is asked of the database, table by table."""
    engine, asked = world.placet.runtime.database.engine, list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(" ".join(statement.split()[:3]))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", ["/recover", "/register"])
def test_the_work_behind_a_form_is_the_same_whoever_has_the_address(
    world: World, mail_server: MailServer, path: str
) -> None:
    register(world, mail_server)

    def work(email: str) -> list[str]:
        with world.placet.runtime.database.engine.begin() as connection:
            connection.execute(sa.delete(AttemptRow))  # what was asked before is not the question
        client = world.client
        form = {"csrf_token": csrf_token(client.get(path).text), "email": email}
        with statements(world) as asked:
            answer = client.post(path, data={**form, "password": PASSWORD})
        assert answer.status_code == 303
        return asked

    work("warm@example.com")
    known, unknown = work(ANA), work("nobody@example.com")
    assert [each for each in known if "SELECT" not in each] == [
        each for each in unknown if "SELECT" not in each
    ]
    assert abs(len(known) - len(unknown)) <= 1  # one small read more where there is an account
