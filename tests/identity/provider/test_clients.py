"""Adding, listing, re-keying and disabling applications, and the command line for it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from app import main
from identity.provider.commands import group
from policies.errors import InvalidInput, NotFound
from privacy.actor import SYSTEM
from tests.identity.provider.relying_party import CALLBACK, RelyingParty, basic, bearer, register
from tests.support.world import World

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "  "}, "name"),
    ({"name": "n" * 101}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"redirect_uris": ("http://shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": (CALLBACK + "#top",)}, "redirect_uris"),
    ({"redirect_uris": (CALLBACK + "#",)}, "redirect_uris"),
    ({"redirect_uris": ("https://*.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://user@shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://:@shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https:///cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example:port/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://[::1/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/a b",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/é",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/" + "a" * 2000,)}, "redirect_uris"),
    ({"redirect_uris": ("/callback",)}, "redirect_uris"),
    ({"redirect_uris": ("javascript:alert(1)",)}, "redirect_uris"),
    ({"redirect_uris": ("com.example.app:/cb",)}, "redirect_uris"),
    ({"post_logout_redirect_uris": ("http://shop.example/",)}, "post_logout_redirect_uris"),
    ({"scopes": ("openid", "everything")}, "scopes"),
    ({"scopes": ("openid", "desk")}, "scopes"),
    ({"scopes": ("decisions:evaluate",)}, "scopes"),
    ({"redirect_uris": ()}, "scopes"),
    ({"purposes": ("newsletter", "world-domination")}, "purposes"),
]


def test_a_wrong_setting_is_refused_by_name(world: World) -> None:
    for change, field in WRONG:
        with pytest.raises(InvalidInput) as refusal:
            register(world, **change)
        assert refusal.value.field == field, change
    with world.placet.runtime.snapshot() as session:
        assert world.placet.clients.all(session) == []


def test_http_is_for_loopback_alone(world: World) -> None:
    uris = ("http://localhost:5000/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb?a=b")
    assert register(world, redirect_uris=uris).client.redirect_uris == uris


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


def run(world: World, *arguments: str) -> tuple[int, str]:
    """Run `placet client …` on this deployment."""
    commands = group(lambda: (world.placet.runtime, world.placet.clients))
    result = CliRunner().invoke(commands, list(arguments))
    return result.exit_code, result.output


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

    assert run(world, "disable", client.client_id)[0] == 0
    code, output = run(world, "list")
    assert (code, output.split()) == (0, [client.client_id, "disabled", "Tienda"])
    assert secret not in output


def test_the_command_line_says_which_option_is_wrong(world: World) -> None:
    code, output = run(world, "add", "Tienda", "--redirect-uri", "http://shop.example/cb")
    assert code == 1
    assert output.startswith("Error: redirect_uris: http://shop.example/cb: https, or http on")
    assert run(world, "disable", "nobody") == (1, "Error: there is no such client\n")


def test_without_json_a_secret_is_printed_once_for_people(world: World) -> None:
    code, output = run(
        world, "add", "Old", "--redirect-uri", CALLBACK, "--scope", "openid", "--without-pkce"
    )
    assert code == 0
    assert "require_pkce: False" in output
    assert "client_secret: " in output


def test_placet_has_the_commands(tmp_path: Path) -> None:
    client = main.commands["client"]
    assert isinstance(client, click.Group)
    assert set(client.commands) == {"add", "list", "rotate-secret", "disable"}
