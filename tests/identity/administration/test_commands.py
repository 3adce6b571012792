"""`placet account`, for whoever runs the machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from app import main
from identity.accounts.model import AccountStatus
from identity.accounts.trail import trail
from tests.identity.administration.office import open_account
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    has_account,
    is_signed_in,
    sign_in,
)
from tests.support.world import CHEAP, World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def test_an_operator_shuts_and_opens_an_account_by_its_address(
    world: World, database_url: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = open_account(world, ANA)
    settings = CHEAP | {"PLACET_DATABASE_URL": database_url, "PLACET_INSTANCE": str(instance)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["account", *arguments])
        return done.exit_code, done.output

    code, told = run("disable", ANA, "--reason", "la pide un juez", "--json")
    assert (code, json.loads(told)) == (0, {"account_id": ana.account_id, "status": "disabled"})
    assert not has_account(world)
    code, told = run("disable", ANA, "--reason", "otra vez")
    assert (code, told) == (1, "Error: the account is not active\n")
    assert run("enable", ANA, "--reason", "aclarado")[0] == 0
    assert account_of(world).status is AccountStatus.ACTIVE
    code, told = run("end-sessions", ANA, "--json")
    assert (code, json.loads(told)["sessions_ended"]) == (0, 0)
    assert run("reset", ANA) == (0, f"{ana.account_id}  reset: started\n")
    for email, words in (
        ("nadie@example.com", "email: no account has this address"),
        ("ana", "email:"),
    ):
        code, told = run("reset", email)
        assert code == 1
        assert words in told
    with world.placet.runtime.snapshot() as session:
        lines = trail(world.placet.log, session, ana.subject_id).entries
    assert {"system"} == {line.actor for line in lines}
    shut = next(line for line in lines if line.tag == "accounts:account:disabled")
    assert shut.evidence == {"reason": "la pide un juez"}


def test_an_operator_ends_everybodys_sessions(
    world: World, database_url: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CHEAP | {"PLACET_DATABASE_URL": database_url, "PLACET_INSTANCE": str(instance)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    browsers = []
    for email in (ANA, BRUNO):
        open_account(world, email)
        browser = world.client
        assert sign_in(browser, email).status_code == 303
        browsers.append(browser)
    assert all(is_signed_in(browser) for browser in browsers)

    refused = CliRunner().invoke(main, ["account", "end-sessions", ANA, "--everybody"])
    assert refused.exit_code == 2
    done = CliRunner().invoke(main, ["account", "end-sessions", "--everybody", "--json"])

    assert json.loads(done.output) == {"sessions_ended": 2}
    assert not any(is_signed_in(browser) for browser in browsers)
    world.settle()
    world.verify()
