from __future__ import annotations

import unicodedata
from collections.abc import Collection, Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import InvalidInput
from policies.passwords import (
    MAX_BYTES,
    Weakness,
    WeakPassword,
    check,
    is_too_long,
    normalise,
)

BLOCKED = frozenset({"correcthorsebatterystaple", "contraseña2026", "p@ssw0rd1"})
CONTEXT = ("Placet", "ana.garcia", "Ana", "García")


def weakness(
    password: str,
    *,
    second_factor: bool = False,
    context: Collection[str] = CONTEXT,
    blocked: Container[str] = BLOCKED,
) -> Weakness | None:
    try:
        check(
            password,
            second_factor_enforced=second_factor,
            context_words=context,
            blocked=blocked,
        )
    except WeakPassword as refusal:
        return refusal.reason
    return None


def test_fifteen_characters_are_enough_alone_and_fourteen_are_not() -> None:
    assert weakness("gato azul verde") is None
    assert weakness("gato azul verd") is Weakness.TOO_SHORT


def test_eight_characters_are_enough_where_a_second_factor_is_enforced() -> None:
    assert weakness("gatoazul", second_factor=True) is None
    assert weakness("gatoazu", second_factor=True) is Weakness.TOO_SHORT


@pytest.mark.parametrize("character", ["a", "ñ", "漢", "🦊"])
def test_128_characters_of_any_script_are_accepted(character: str) -> None:
    assert weakness("bcde f" + character * 122) is None


def test_1024_bytes_are_accepted_and_one_more_is_not() -> None:
    assert MAX_BYTES == 1024
    assert weakness("abcde" + "x" * (MAX_BYTES - 5)) is None
    assert weakness("abcde" + "x" * (MAX_BYTES - 4)) is Weakness.TOO_LONG
    assert weakness("abcd" + "x" * (MAX_BYTES - 5) + "ñ") is Weakness.TOO_LONG
    assert is_too_long("ñ" * (MAX_BYTES // 2 + 1))
    assert not is_too_long("ñ" * (MAX_BYTES // 2))


def test_code_points_are_counted_and_not_bytes() -> None:
    assert weakness("🦊🐺🐻🐼🐨🐯🦁", second_factor=True) is Weakness.TOO_SHORT
    assert weakness("🦊🐺🐻🐼🐨🐯🦁🐮", second_factor=True) is None


def test_a_composed_and_a_decomposed_password_are_one_and_count_once() -> None:
    composed, decomposed = "camión verde ya", unicodedata.normalize("NFD", "camión verde ya")

    assert composed != decomposed
    assert normalise(composed) == normalise(decomposed)
    assert len(decomposed) == 16
    assert weakness("camió verde ya") is Weakness.TOO_SHORT
    assert weakness(unicodedata.normalize("NFD", "camió verde ya")) is Weakness.TOO_SHORT


def test_full_width_letters_are_the_same_password() -> None:
    assert normalise("Ｐａｓｅｏ　１") == "Paseo 1"


def test_a_ligature_that_normalises_to_many_letters_counts_once() -> None:
    assert len(normalise("\ufdfa")) == 18
    assert weakness("\ufdfaab", second_factor=True) is Weakness.TOO_SHORT


def test_nothing_is_trimmed_or_folded() -> None:
    assert normalise(" Gato AZUL ") == " Gato AZUL "


def test_no_mixture_of_characters_is_demanded() -> None:
    assert weakness("el perro come en casa") is None
    assert weakness("839205716402938") is None


@pytest.mark.parametrize("password", ["correcthorsebatterystaple", "CorrectHorseBatteryStaple"])
def test_a_common_password_is_refused_in_any_case(password: str) -> None:
    assert weakness(password) is Weakness.COMMON


def test_a_common_password_is_found_in_its_decomposed_form() -> None:
    decomposed = unicodedata.normalize("NFD", "contraseña2026")

    assert weakness(decomposed, second_factor=True) is Weakness.COMMON


def test_the_list_is_compared_whole() -> None:
    assert weakness("correcthorsebatterystaple y un gato") is None


@pytest.mark.parametrize(
    "password",
    ["placetplacetplacet", "PLACET-2026-verano", "ana.garcia.1987!", "garcía y placet 2026"],
)
def test_a_known_word_counts_for_nothing(password: str) -> None:
    assert weakness(password) is Weakness.CONTAINS_CONTEXT


def test_a_known_word_may_stand_in_a_password_that_is_long_enough_without_it() -> None:
    assert weakness("un placet y dos gatos verdes") is None


def test_what_is_left_without_a_known_word_must_reach_the_minimum() -> None:
    assert weakness("placet" + "gato azul verd") is Weakness.CONTAINS_CONTEXT
    assert weakness("placet" + "gato azul verde") is None


def test_a_name_of_three_letters_stands_in_honest_words_and_one_of_four_does_not() -> None:
    assert weakness("manzana, ventana", context=("Ana",)) is None
    assert weakness("manzana, ventana", context=("Anza",)) is Weakness.CONTAINS_CONTEXT


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaaaaa",
        "abababababababab",
        "123412341234123",
        "abcdefghijklmnop",
        "ponmlkjihgfedcba",
    ],
)
def test_a_repetition_or_a_sequence_is_refused(password: str) -> None:
    assert weakness(password) is Weakness.TOO_UNIFORM


def test_five_different_characters_are_not_a_repetition_and_four_are() -> None:
    assert weakness("aabbccddaabbccdd") is Weakness.TOO_UNIFORM
    assert weakness("aabbccddeeaabbcc") is None


def test_text_that_is_not_unicode_is_refused_as_input() -> None:
    with pytest.raises(InvalidInput) as refusal:
        check("\ud800" * 20, second_factor_enforced=False, context_words=(), blocked=())
    assert refusal.value.field == "password"
    with pytest.raises(InvalidInput):
        normalise("\ud800")


def test_a_refusal_says_which_reason_and_has_a_permanent_code() -> None:
    assert WeakPassword.code == "weak-password"
    assert [reason.value for reason in Weakness] == [
        "too-short",
        "too-long",
        "common",
        "contains-context",
        "too-uniform",
    ]
    assert len({WeakPassword(reason).detail for reason in Weakness}) == len(Weakness)


def test_a_refusal_names_the_field_and_never_repeats_the_password() -> None:
    with pytest.raises(WeakPassword) as refusal:
        check("gato azul verd", second_factor_enforced=False, context_words=(), blocked=())

    assert refusal.value.field == "password"
    assert "gato" not in f"{refusal.value!r} {refusal.value.detail}"


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused_with_a_reason(password: str) -> None:
    found = weakness(password, context=(), blocked=())

    if found is None:
        assert len(password) >= 15
        assert len(password.encode()) <= MAX_BYTES


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(password: str) -> None:
    assert normalise(normalise(password)) == normalise(password)
