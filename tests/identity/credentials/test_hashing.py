"""Passwords as Argon2id hashes."""

import unicodedata
from statistics import median
from time import perf_counter

import pytest

from identity.credentials.hashing import Hasher
from policies.passwords import WeakPassword
from privacy.settings import Argon2
from tests.identity.people import ANA, PASSWORD
from tests.support.world import CountedIds, World

CHEAPEST = Argon2(time_cost=1, memory_kib=8, parallelism=1)


@pytest.fixture
def hasher() -> Hasher:
    return Hasher(CHEAPEST, CountedIds())


def test_a_password_fits_its_own_hash_alone(hasher: Hasher) -> None:
    encoded = hasher.hash(PASSWORD)
    assert encoded.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert PASSWORD not in encoded
    assert hasher.matches(encoded, PASSWORD)
    for wrong in (PASSWORD + " ", PASSWORD.upper(), "", PASSWORD[:-1]):
        assert not hasher.matches(encoded, wrong)
    assert hasher.hash(PASSWORD) != encoded  # salted


def test_nothing_of_a_long_password_is_cut_off(hasher: Hasher) -> None:
    encoded = hasher.hash("é" * 99 + "a")
    assert hasher.matches(encoded, "é" * 99 + "a")
    assert not hasher.matches(encoded, "é" * 99 + "b")


def test_two_keyboards_type_the_same_password(hasher: Hasher) -> None:
    composed = unicodedata.normalize("NFC", "contraseña con eñe y té")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert hasher.matches(hasher.hash(composed), decomposed)


def test_without_a_hash_nothing_fits(hasher: Hasher) -> None:
    assert not hasher.matches(None, PASSWORD)
    assert not hasher.matches("not a hash", PASSWORD)
    assert not hasher.matches(hasher.hash(PASSWORD), "\ud800" * 20)
    assert not hasher.matches(hasher.hash(PASSWORD), "x" * 1_000_000)


def test_an_unknown_account_costs_the_same_time_as_a_known_one() -> None:
    hasher = Hasher(Argon2(time_cost=3, memory_kib=4096, parallelism=1), CountedIds())
    encoded = hasher.hash(PASSWORD)

    def seconds(against: str | None) -> float:
        began = perf_counter()
        hasher.matches(against, "a wrong password")
        return perf_counter() - began

    for against in (encoded, None):
        seconds(against)
    pairs = [(seconds(encoded), seconds(None)) for _ in range(30)]
    known, unknown = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    assert 0.5 < known / unknown < 2


def test_a_hash_of_another_cost_is_outdated(hasher: Hasher) -> None:
    encoded = hasher.hash(PASSWORD)
    assert not hasher.is_outdated(encoded)
    dearer = Hasher(Argon2(time_cost=2, memory_kib=8, parallelism=1), CountedIds())
    assert dearer.is_outdated(encoded)
    assert dearer.matches(encoded, PASSWORD)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("placet y poco más", "contains-context"),
        ("mi contraseña secreta", "common"),
        ("mi-contraseña-secreta", "common"),
        ("CorrectHorseBatteryStaple", "common"),
        ("catorce signos", "too-short"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(
    world: World, password: str, reason: str
) -> None:
    with pytest.raises(WeakPassword) as refused:
        world.placet.identity.passwords.check(password, email=ANA)
    assert refused.value.reason.value == reason


def test_a_password_of_any_script_is_accepted(world: World) -> None:
    for password in ("長い長いとても長い合言葉です、はい", "🐢 🦀 🐙 🦑 🐠 🐡 🦐 🐬 🐳"):
        world.placet.identity.passwords.check(password, email=ANA)
