import pytest

from policies.errors import InvalidInput
from privacy.keys.blind_index import BlindIndex, IdentifierKind, normalise_email
from privacy.keys.keyring import Keyring
from tests.support.world import CountedIds, World


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("Ana@Example.COM", "ana@example.com"),
        ("ana@bücher.example", "ana@bücher.example"),
        ("ANA.lopez+news@example.com", "ana.lopez+news@example.com"),
        ("jose\u0301@example.com", "josé@example.com"),
    ],
)
def test_one_address_in_two_spellings_is_one_person(written: str, normalised: str) -> None:
    assert normalise_email(written) == normalised
    assert normalise_email(normalised) == normalised


@pytest.mark.parametrize("bad", ["", "ana", "ana@", "@example.com", "a b@example.com", "a@b@c.com"])
def test_what_is_no_address_is_refused_by_the_field_it_stands_in(bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        normalise_email(bad, field="identifiers.3")
    assert caught.value.field == "identifiers.3"


def test_an_index_depends_on_the_key_the_kind_and_the_version(
    world: World, tmp_path: object
) -> None:
    index = BlindIndex(world.placet.keyring)
    first = index.of(IdentifierKind.EMAIL, "ana@example.com")
    assert len(first) == 16
    assert first == index.of(IdentifierKind.EMAIL, "ana@example.com")
    assert first != index.of(IdentifierKind.EMAIL, "ana@example.com", version=2)
    other = Keyring(world.placet.settings.instance / "other-keys")
    other.create_missing(CountedIds("other deployment"))
    assert first != BlindIndex(other).of(IdentifierKind.EMAIL, "ana@example.com")
