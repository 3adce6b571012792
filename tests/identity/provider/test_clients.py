"""Adding, listing, re-keying and disabling applications, and the command line for it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app import main
from identity.provider.client_settings import ClientSettings
from identity.provider.commands import group
from identity.provider.model import Client
from policies.errors import Conflict, InvalidInput, NotFound
from privacy.actor import SYSTEM
from privacy.audit.store import Payload
from privacy.events import DEPLOYMENT, Json
from tests.identity.provider.relying_party import (
    CALLBACK,
    OFFLINE,
    RelyingParty,
    basic,
    bearer,
    register,
)
from tests.identity.provider.test_client_settings import KEYS, OWN_KEYS
from tests.support.world import World

DOCS = Path(__file__).resolve().parents[3] / "docs"

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@sqlite
def test_each_client_has_a_sector_of_its_own_unless_told_otherwise(world: World) -> None:
    first, second = register(world), register(world, name="Blog", sector="brand")
    assert first.client.sector == first.client.client_id
    assert second.client.sector == "brand"


def test_a_replaced_secret_goes_on_for_the_overlap_and_no_longer(
    world: World, shop: RelyingParty
) -> None:
    def status(secret: str) -> int:
        return world.client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers=basic(shop.client.client_id, secret),
        ).status_code

    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        new = world.placet.clients.rotate_secret(uow, shop.client.client_id, timedelta(hours=1))
    world.clock.advance(minutes=59)
    assert (status(shop.secret), status(new)) == (200, 200)
    world.clock.advance(minutes=1)
    assert (status(shop.secret), status(new)) == (401, 200)


def test_a_disabled_client_and_its_tokens_are_refused_at_once(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.own_token().get_json()["access_token"]
    persons, code = shop.tokens()["access_token"], shop.code()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, shop.client.client_id)
    called = world.client.post(
        "/v1/pseudonyms", json={"identifiers": ["ana@example.com"]}, headers=bearer(token)
    )
    assert called.status_code == 401
    assert shop.userinfo(persons).status_code == 401
    assert shop.exchange(code).status_code == 401
    assert shop.own_token().status_code == 401
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # a second time changes nothing
        world.placet.clients.disable(uow, shop.client.client_id)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(NotFound):
        world.placet.clients.disable(uow, "nobody")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.enable(uow, shop.client.client_id)
    assert shop.own_token().status_code == 200
    assert shop.userinfo(persons).status_code == 401  # what it held does not come back
    assert shop.introspect(token) == {"active": False}
    assert shop.exchange(code).status_code == 400


def change(party: RelyingParty, **changes: Any) -> Client:
    """Change a client's settings as an operator does."""
    placet = party.world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        client = placet.clients.find(uow.session, party.client.client_id, at=party.world.clock.now)
        assert client is not None
        settings = ClientSettings.of(client)
        wanted = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
        return placet.clients.change(uow, client.client_id, ClientSettings(**(wanted | changes)))


def changes_in_the_log(world: World) -> list[dict[str, Json]]:
    with world.placet.runtime.snapshot() as session:
        kept = session.scalars(sa.select(Payload).where(Payload.holder == DEPLOYMENT))
        found = [world.placet.log.disclose(session, each).payload["evidence"] for each in kept]
    return [each for each in found if isinstance(each, dict) and "before" in each]


def test_what_changed_is_in_the_log_and_a_lost_scope_ends_the_tokens_that_hold_it(
    world: World, shop: RelyingParty, ana: str
) -> None:
    wide, persons = shop.own_token().get_json()["access_token"], shop.tokens()["access_token"]
    narrow = shop.own_token(scope="pseudonyms:write").get_json()["access_token"]
    changed = change(shop, name="Tienda nueva", scopes=("openid", "pseudonyms:write"))
    assert (changed.name, changed.redirect_uris) == ("Tienda nueva", (CALLBACK,))
    assert shop.introspect(wide) == {"active": False}
    assert shop.introspect(narrow)["active"] is True
    assert shop.userinfo(persons).status_code == 200
    assert shop.own_token(scope="decisions:evaluate").status_code == 400
    change(shop)  # nothing changes, and nothing is written
    [written] = changes_in_the_log(world)
    assert written == {
        "before": {"name": "Tienda", "scopes": "decisions:evaluate openid pseudonyms:write"},
        "after": {"name": "Tienda nueva", "scopes": "openid pseudonyms:write"},
        "ended": {"access_tokens": 1, "codes": 0, "refresh_families": 0},
    }


@sqlite
def test_a_grant_that_is_taken_away_ends_what_was_got_by_it_for_good(
    world: World, ana: str
) -> None:
    shop = register(world, **OFFLINE)
    own, persons = shop.own_token().get_json()["access_token"], shop.offline_tokens()
    change(shop, refresh=False, client_credentials=False)
    assert shop.introspect(own) == {"active": False}
    assert shop.introspect(persons["access_token"])["active"] is True
    change(shop, refresh=True, client_credentials=True)
    assert shop.introspect(own) == {"active": False}
    assert shop.refresh(persons["refresh_token"]).status_code == 400


@sqlite
def test_a_sector_never_changes_and_the_refusal_says_why(world: World, shop: RelyingParty) -> None:
    with pytest.raises(InvalidInput, match="every person would get another `sub`") as refusal:
        change(shop, sector="brand")
    assert refusal.value.field == "sector"
    assert change(shop, sector="").sector == shop.client.client_id


@sqlite
def test_a_client_with_keys_alone_has_no_secret(world: World, shop: RelyingParty) -> None:
    by_keys = register(world, **OWN_KEYS)
    assert by_keys.secret == ""
    with world.placet.runtime.snapshot() as session:
        assert world.placet.clients.secrets(session, by_keys.client.client_id) == []
    with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(Conflict):
        world.placet.clients.rotate_secret(uow, by_keys.client.client_id, timedelta())
    changed = change(shop, **OWN_KEYS)
    assert json.loads(str(changed.jwks))["keys"][1]["kid"] == "e"
    assert shop.own_token().status_code == 401
    with world.placet.runtime.snapshot() as session:
        [secret] = world.placet.clients.secrets(session, shop.client.client_id)
    assert not secret.works(world.clock.now)
    assert len(changes_in_the_log(world)[0]["after"]["jwks"]) == 3  # type: ignore[arg-type,call-overload,index]  # JSON


def test_an_old_secret_ends_at_once_where_the_operator_says_so(
    world: World, shop: RelyingParty
) -> None:
    clients, client_id = world.placet.clients, shop.client.client_id
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        new = clients.rotate_secret(uow, client_id, timedelta(hours=24))
    renewed = RelyingParty(world, shop.client, new)
    assert (shop.own_token().status_code, renewed.own_token().status_code) == (200, 200)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        [retired] = clients.retire_secrets(uow, client_id)
    assert (shop.own_token().status_code, renewed.own_token().status_code) == (401, 200)
    with world.placet.runtime.snapshot() as session:
        newest, old = clients.secrets(session, client_id)
    assert (old, newest.works(world.clock.now)) == (retired, True)
    for fingerprint in (None, old.fingerprint, "00000000"):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(Conflict):
            clients.retire_secrets(uow, client_id, fingerprint)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        clients.retire_secrets(uow, client_id, newest.fingerprint)
    assert renewed.own_token().status_code == 401


def test_a_client_is_found_with_its_secrets_by_one_statement(
    world: World, shop: RelyingParty
) -> None:
    client_id, asked = shop.client.client_id, []
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.rotate_secret(uow, client_id, timedelta(hours=1))
    engine = world.placet.runtime.database.engine

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    with world.placet.runtime.snapshot() as session:
        session.connection()
        sa.event.listen(engine, "before_cursor_execute", note)
        found = world.placet.clients.find(session, client_id, at=world.clock.now)
        later = world.clock.now + timedelta(hours=1)
        one_left = world.placet.clients.find(session, client_id, at=later)
        nobody = world.placet.clients.find(session, "0" * 32, at=later)
        sa.event.remove(engine, "before_cursor_execute", note)
    assert found is not None
    assert one_left is not None
    assert (len(found.secret_digests), len(one_left.secret_digests)) == (2, 1)
    assert nobody is None
    assert len(asked) == 3, asked


def run(world: World, *arguments: str) -> tuple[int, str]:
    """Run `placet client …` on this deployment."""
    commands = group(
        lambda: (world.placet.runtime, world.placet.clients, world.placet.logouts.results)
    )
    result = CliRunner().invoke(commands, list(arguments))
    return result.exit_code, result.output


@sqlite
def test_the_command_line_adds_lists_rotates_and_disables(world: World) -> None:
    code, output = run(
        world,
        *("add", "Tienda", "--redirect-uri", CALLBACK, "--scope", "openid"),
        *("--scope", "decisions:evaluate", "--purpose", "newsletter", "--json"),
    )
    assert code == 0, output
    added = json.loads(output)
    secret = added.pop("client_secret")
    listed = json.loads(run(world, "list", "--json")[1])
    assert listed == [added]
    assert added["grant_types"] == ["authorization_code", "client_credentials"]
    assert (added["require_pkce"], added["disabled_at"]) == (True, None)

    with world.placet.runtime.snapshot() as session:
        client = world.placet.clients.find(session, added["client_id"], at=world.clock.now)
    assert client is not None
    party = RelyingParty(world, client, secret)
    assert party.own_token().status_code == 200

    rotated = json.loads(
        run(world, "rotate-secret", client.client_id, "--overlap-hours", "0", "--json")[1]
    )
    assert party.own_token().status_code == 401
    world.clock.advance(hours=1)
    assert RelyingParty(world, client, rotated["client_secret"]).own_token().status_code == 200

    listed = json.loads(run(world, "secrets", client.client_id, "--json")[1])
    assert [each["retired_at"] is None for each in listed] == [True, False]
    assert secret not in json.dumps(listed)
    assert run(world, "retire-secret", client.client_id) == (
        1,
        "Error: there is no such secret that still works\n",
    )
    ended = run(world, "retire-secret", client.client_id, "--fingerprint", listed[0]["fingerprint"])
    assert ended[0] == 0
    assert run(world, "logouts", client.client_id, "--json") == (0, "[]\n")

    assert run(world, "disable", client.client_id)[0] == 0
    code, output = run(world, "list")
    assert (code, output.split()) == (0, [client.client_id, "disabled", "Tienda"])
    assert secret not in output
    assert run(world, "enable", client.client_id) == (0, f"{client.client_id} is enabled\n")


@sqlite
def test_the_command_line_changes_what_is_named_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(KEYS, encoding="utf-8")
    shop = register(world)
    before = json.loads(run(world, "show", shop.client.client_id, "--json")[1])
    assert before.pop("people") == 0
    code, output = run(
        world,
        *("change", shop.client.client_id, "--scope", "openid", "--scope", "offline_access"),
        *("--refresh", "--without-client-credentials", "--token-format", "jwt", "--par"),
        *("--audience", "https://api.example", "--auth-method", "private_key_jwt"),
        *("--jwks", str(keys), "--backchannel-logout-uri", "https://shop.example/out"),
        *("--ends-with-withdrawal", "--json"),
    )
    assert code == 0, output
    changed = json.loads(output)
    assert changed == before | {
        "scopes": ["offline_access", "openid"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_format": "jwt",
        "require_par": True,
        "audiences": ["https://api.example"],
        "auth_methods": ["private_key_jwt"],
        "jwks_thumbprints": changed["jwks_thumbprints"],
        "backchannel_logout_uri": "https://shop.example/out",
        "ends_with_withdrawal": True,
    }
    assert len(changed["jwks_thumbprints"]) == 3
    code, output = run(
        world,
        *("change", shop.client.client_id, "--clear", "audiences", "--clear"),
        *("backchannel-logout-uri", "--json"),
    )
    assert json.loads(output) == changed | {"audiences": [], "backchannel_logout_uri": None}
    code, output = run(world, "change", shop.client.client_id, "--clear", "purposes")
    assert (code, output.split(":")[1].strip()) == (1, "ends_with_withdrawal")
    assert run(world, "show", "nobody") == (1, "Error: there is no such client\n")


@sqlite
def test_the_command_line_says_which_option_is_wrong(world: World) -> None:
    code, output = run(world, "add", "Tienda", "--redirect-uri", "http://shop.example/cb")
    assert code == 1
    assert output.startswith("Error: redirect_uris: http://shop.example/cb: https, or http on")
    assert run(world, "disable", "nobody") == (1, "Error: there is no such client\n")


@sqlite
def test_without_json_a_secret_is_printed_once_for_people(world: World) -> None:
    code, output = run(
        world, "add", "Old", "--redirect-uri", CALLBACK, "--scope", "openid", "--without-pkce"
    )
    assert code == 0
    assert "require_pkce: False" in output
    assert "client_secret: " in output


def test_every_command_of_clients_and_keys_stands_in_the_operations_page() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    wanted = {
        "client": {
            *("add", "list", "show", "change", "rotate-secret", "secrets", "retire-secret"),
            *("disable", "enable", "logouts"),
        },
        "keys": {"list", "rotate", "epoch"},
    }
    for name, commands in wanted.items():
        found = main.commands[name]
        assert isinstance(found, click.Group)
        assert set(found.commands) == commands
        for command in commands:
            assert f"`placet {name} {command}" in text, command
