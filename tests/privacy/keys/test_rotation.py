"""Replacing signing keys: nobody meets a key that was not published, nor loses one too early."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from identity.provider import model
from identity.provider.answers import PUBLIC_SECONDS
from privacy.actor import SYSTEM
from privacy.keys.commands import group
from privacy.keys.rotation import KeyRotation
from privacy.keys.signing import ALGORITHM, PUBLISHED_AFTER, PUBLISHED_BEFORE, KeyUse, SigningKey
from tests.support.world import World

TICK = timedelta(microseconds=1)

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def signed(world: World, use: KeyUse = KeyUse.OPENID) -> str:
    """Return something that the present key signed."""
    with world.placet.runtime.snapshot() as session:
        key = world.placet.signing_keys.current(session, use)
    algorithm = ALGORITHM[use]
    return jws.serialize_compact({"alg": algorithm, "kid": str(key.kid)}, b"x", key, [algorithm])


def published(world: World) -> KeySetSerialization:
    """Return the key set as an application fetches it."""
    answer = world.client.get("/oauth/jwks")
    assert f"max-age={PUBLIC_SECONDS}" in answer.headers["Cache-Control"]
    found: KeySetSerialization = answer.get_json()
    return found


def verifies(token: str, keys: KeySetSerialization) -> bool:
    try:
        jws.deserialize_compact(token, KeySet.import_key_set(keys), ["RS256", "Ed25519"])
    except (JoseError, ValueError):
        return False
    return True


def kid_of(token: str) -> str:
    return str(jws.extract_compact(token.encode()).headers()["kid"])


def rotate(world: World, use: KeyUse = KeyUse.OPENID, *, at_once: bool = False) -> str:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        kid = world.placet.signing_keys.rotate(uow, use, at_once=at_once)
        uow.commit()
    return kid


def rows(world: World) -> dict[str, SigningKey]:
    with world.placet.runtime.snapshot() as session:
        return {key.kid: key for key in world.placet.signing_keys.all(session)}


@sqlite
def test_tokens_verify_throughout_and_whoever_keeps_the_keys_meets_no_unknown_one(
    world: World,
) -> None:
    kept_for = timedelta(seconds=PUBLIC_SECONDS) - TICK
    start, before, kept = world.clock.now, signed(world), published(world)
    new = rotate(world)
    assert rotate(world) == new  # one is waiting already
    world.clock.now = start + kept_for
    assert verifies(signed(world), kept)
    begins = start + PUBLISHED_BEFORE
    for moment in (begins - TICK, begins, begins + kept_for, begins + PUBLISHED_AFTER):
        world.clock.now = moment - kept_for
        kept = published(world)
        world.clock.now = moment
        token = signed(world)
        assert kid_of(token) == (new if moment >= begins else kid_of(before))
        assert verifies(token, kept)
        world.clock.now = moment + model.CLIENT_TOKEN_LIFETIME
        assert verifies(token, published(world))
    assert kid_of(signed(world)) == new
    assert [jwk["kid"] for jwk in published(world)["keys"]] == [new]
    assert not verifies(before, published(world))
    with world.placet.runtime.snapshot() as session:  # we ourselves know what we signed
        own = world.placet.signing_keys.own(session, KeyUse.OPENID)
    assert {jwk["kid"] for jwk in own} == {new, kid_of(before)}


def test_the_times_leave_room_for_every_cache_and_every_token() -> None:
    assert timedelta(seconds=PUBLIC_SECONDS) < PUBLISHED_BEFORE
    lives = [
        value
        for name, value in vars(model).items()
        if name in {"ID_TOKEN_LIFETIME", "PERSON_TOKEN_LIFETIME", "CLIENT_TOKEN_LIFETIME"}
    ]
    assert len(lives) == 3
    assert max(lives) < PUBLISHED_AFTER


@sqlite
def test_a_known_private_key_stops_signing_and_leaves_the_published_ones_at_once(
    world: World,
) -> None:
    burnt = signed(world)
    waiting = rotate(world)
    new = rotate(world, at_once=True)
    assert kid_of(signed(world)) == new
    assert [jwk["kid"] for jwk in published(world)["keys"]] == [new]
    assert not verifies(burnt, published(world))
    with world.placet.runtime.snapshot() as session:
        own = world.placet.signing_keys.own(session, KeyUse.OPENID)
    assert [jwk["kid"] for jwk in own] == [new]
    found = rows(world)
    assert {found[kid].private_sealed for kid in (waiting, kid_of(burnt))} == {b""}
    world.settle()
    world.verify()


@sqlite
def test_receipts_of_every_age_can_be_checked(world: World) -> None:
    first = signed(world, KeyUse.RECEIPT)
    rotate(world, KeyUse.RECEIPT)
    world.clock.advance(days=1)
    second = signed(world, KeyUse.RECEIPT)
    rotate(world, KeyUse.RECEIPT, at_once=True)
    world.clock.advance(days=3650)
    third = signed(world, KeyUse.RECEIPT)
    with world.placet.runtime.snapshot() as session:
        keys = world.placet.signing_keys.public(session, KeyUse.RECEIPT)
    assert len({kid_of(each) for each in (first, second, third)}) == 3
    for receipt in (first, second, third):
        assert verifies(receipt, {"keys": keys})


@sqlite
def test_the_worker_replaces_a_key_by_its_age_and_destroys_the_old_private_half(
    world: World,
) -> None:
    [old] = [kid for kid, key in rows(world).items() if key.use == KeyUse.OPENID]
    task = KeyRotation(world.placet.runtime, world.placet.signing_keys, lifetime=timedelta(days=90))
    signs_from = rows(world)[old].signs_from
    world.clock.now = signs_from + timedelta(days=89) - timedelta(minutes=10)
    assert task.run_due() == 0
    assert kid_of(signed(world)) == old
    world.clock.advance(minutes=10)
    assert task.run_due() == 1
    [new] = rows(world).keys() - {old} - {k for k, v in rows(world).items() if v.use == "receipt"}
    assert rows(world)[new].active_from == signs_from + timedelta(days=90)
    world.clock.now = signs_from + timedelta(days=90)
    assert kid_of(signed(world)) == new
    assert rows(world)[old].private_sealed
    assert task.run_due() == 1
    assert rows(world)[old].private_sealed == b""
    world.clock.advance(minutes=10)
    assert task.run_due() == 0
    assert b'"d"' not in rows(world)[new].private_sealed


def test_of_workers_that_rotate_at_the_same_moment_one_makes_the_key(world: World) -> None:
    start = Barrier(2)

    def turn(_number: int) -> str:
        start.wait(timeout=20)
        return rotate(world)

    with ThreadPoolExecutor(2) as pool:
        kids = list(pool.map(turn, range(2)))
    assert kids[0] == kids[1]
    with world.placet.runtime.snapshot() as session:
        count = session.scalar(
            sa.select(sa.func.count()).where(SigningKey.use == KeyUse.OPENID.value)
        )
    assert count == 2


@sqlite
def test_an_operator_lists_and_replaces_keys(world: World) -> None:
    commands = group(lambda: (world.placet.runtime, world.placet.signing_keys))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(commands, list(arguments))
        assert done.exit_code == 0, done.output
        return done.output

    world.clock.advance(days=400)
    [old] = [each for each in json.loads(run("list", "--json")) if each["use"] == "openid"]
    assert (old["state"], old["published_until"]) == ("signing", None)
    new = json.loads(run("rotate", "--json"))
    assert new["state"] == "next"
    world.clock.advance(days=1)
    assert run("list").split()[:3] == [new["kid"], "openid", "signing"]
    assert f"{old['kid']}  openid    resting" in run("list")
    assert "signs openid from" in run("rotate", "--at-once")
    states = {
        each["state"] for each in json.loads(run("list", "--json")) if each["use"] == "openid"
    }
    assert states == {"gone", "signing"}
