import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

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


@given(
    st.from_regex(
        r"[A-Za-z0-9._+-]{1,12}@(?:[A-Za-z0-9-]{1,8}\.){0,2}[A-Za-z0-9-]{1,8}", fullmatch=True
    )
    | st.sampled_from(
        [
            "a@xn--bcher-kva.example",
            "a@localhost",
            f"a@{'b' * 64}.com",
            f"{'a' * 70}@b.com",
            "a@b.test",
        ]
    )
)
def test_a_plain_address_is_read_as_the_library_reads_it(address: str) -> None:
    expected = refused = None
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True)
        expected = found.normalized.casefold()
    except EmailNotValidError as error:
        refused = str(error)
    try:
        assert normalise_email(address) == expected
    except InvalidInput as told:
        assert told.detail == refused  # noqa: PT017 - by the same words, or not at all


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
