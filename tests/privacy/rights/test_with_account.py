"""Rights of somebody with a real account, session and sign-ins."""

from pathlib import Path

import pytest

from tests.identity.people import (
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    has_account,
    make_known,
    register,
)
from tests.privacy.rights.steps import reference_in
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

CANARY = "Anastasia Quesada"
CANARY_EMAIL = "canary.quesada@example.com"


def test_the_copy_holds_account_sessions_and_sign_ins(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server, CANARY_EMAIL)
    client = world.client
    make_known(client, CANARY_EMAIL)
    failed = {"email": CANARY_EMAIL, "password": OTHER_PASSWORD}
    assert submit(client, "/login", failed).status_code != 303
    world.settle()  # the worker looks whose the wrong password was
    signed_in = submit(client, "/login", {"email": CANARY_EMAIL, "password": PASSWORD})
    assert signed_in.status_code == 303
    page = f"/rights/requests/{reference_in(submit(client, '/rights/access', {}))}"
    copy = submit(client, page, {"form": "json"}, to=f"{page}/data")
    assert copy.json is not None
    account = copy.json["data"]["account"]
    assert account["account"]["status"] == "active"
    assert account["addresses"] == [CANARY_EMAIL]
    assert "failed" in [each["result"] for each in account["sign_ins"]]
    assert "succeeded" in [each["result"] for each in account["sign_ins"]]
    assert len(account["sessions"]) == 2
    readable = submit(client, page, {"form": "html"}, to=f"{page}/data")
    assert "Inicios de sesión" in readable.text
    assert PASSWORD not in copy.text + readable.text
    assert "$argon2" not in copy.text + readable.text


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_erased_account_leaves_no_byte_and_no_way_in(
    world: World, mail_server: MailServer, instance: Path
) -> None:
    client = register(world, mail_server, CANARY_EMAIL)
    typed = {"attribute": "given_name", "value": CANARY}
    assert submit(client, "/rights/rectification", typed).status_code == 303
    elsewhere = world.client
    make_known(elsewhere, CANARY_EMAIL)
    submit(elsewhere, "/login", {"email": CANARY_EMAIL, "password": PASSWORD})
    assert elsewhere.get("/rights/access").status_code == 200
    before = account_of(world, CANARY_EMAIL).subject_id
    answer = submit(client, "/rights/erasure", {})
    assert answer.headers["Location"] == "/rights/erased"
    for browser in (client, elsewhere):
        assert browser.get("/rights/access").status_code == 401
    assert not has_account(world, CANARY_EMAIL)
    known = submit(world.client, "/login", {"email": CANARY_EMAIL, "password": PASSWORD})
    unknown = submit(world.client, "/login", {"email": "nadie@example.com", "password": PASSWORD})
    assert known.status_code == unknown.status_code != 303
    world.settle()
    with world.placet.runtime.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in instance.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"Quesada" not in content
        assert b"quesada" not in content
    assert world.verify().ok
    mail_server.clear()
    register(world, mail_server, CANARY_EMAIL)
    assert account_of(world, CANARY_EMAIL).subject_id != before
