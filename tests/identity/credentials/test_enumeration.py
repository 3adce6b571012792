"""What an answer must not tell: whether an address has an account."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from identity.accounts.store import AttemptRow, SignInTryRow
from tests.identity.people import ANA, OTHER_PASSWORD, register
from tests.support.forms import csrf_token, submit
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


pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.mark.parametrize("path", ["/login", "/recover", "/register", "/recover/factor"])
def test_the_work_behind_a_form_is_the_same_whoever_has_the_address(
    world: World, mail_server: MailServer, path: str
) -> None:
    register(world, mail_server)

    def work(email: str) -> list[str]:
        with world.placet.runtime.database.engine.begin() as connection:
            for table in (AttemptRow, SignInTryRow):
                connection.execute(sa.delete(table))  # what was asked before is not the question
        client = world.client
        form = {"csrf_token": csrf_token(client.get(path).text), "email": email}
        with statements(world) as asked:
            answer = client.post(path, data={**form, "password": OTHER_PASSWORD})
        assert answer.status_code == (422 if path == "/login" else 303)
        return asked

    work("warm@example.com")
    known, unknown = work(ANA), work("nobody@example.com")
    assert [each for each in known if "SELECT" not in each] == [
        each for each in unknown if "SELECT" not in each
    ]
    assert abs(len(known) - len(unknown)) <= 1  # one small read more where there is an account


def test_status_and_body_are_the_same_whoever_has_the_address(
    world: World, mail_server: MailServer
) -> None:
    """The times are compared by `make bench ONLY=enumeration`."""
    register(world, mail_server)

    def answers(email: str) -> list[tuple[int, str | None, str]]:
        seen = list[tuple[int, str | None, str]]()
        for page, form in (
            ("/login", {"password": OTHER_PASSWORD}),
            ("/register", {"password": OTHER_PASSWORD}),
            ("/recover", {}),
            ("/recover/factor", {}),
        ):
            answer = submit(world.client, page, {"email": email, **form})
            text = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]+"', "", answer.text)
            seen.append((answer.status_code, answer.headers.get("Location"), text))
        client = world.client
        token = csrf_token(client.get("/register").text)
        answer = client.post(
            "/register/passkey/options", json={"email": email}, headers={"X-CSRFToken": token}
        )
        options = answer.get_json()
        for mine in ("challenge", "user"):
            options.pop(mine, None)
        seen.append((answer.status_code, None, str(sorted(options))))
        return seen

    known, unknown = answers(ANA), answers("bea@example.com")
    assert known == [(s, to, text.replace("bea@", "ana@")) for s, to, text in unknown]
    assert [status for status, _, _ in known] == [422, 303, 303, 303, 200]
