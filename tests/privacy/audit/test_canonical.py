"""Canonical JSON: the quick encoder and the library that follows the RFC write the same bytes."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.leaf import NONCE_BYTES, LeafError, opening

NONCE = bytes(NONCE_BYTES)
EXACT = 2**53 - 1
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(names, values, max_size=5))
def test_every_payload_is_written_as_the_rfc_says(payload: dict[str, object]) -> None:
    expected = rfc8785.dumps(payload)  # type: ignore[arg-type]  # its own JSON type
    assert opening(NONCE, payload)[NONCE_BYTES:] == expected


@given(st.text(st.characters(max_codepoint=0x7F) | st.sampled_from("\x7f\u2028é€😀\ufeff")))
def test_every_character_is_escaped_as_the_rfc_says(text: str) -> None:
    assert opening(NONCE, {"text": text})[NONCE_BYTES:] == rfc8785.dumps({"text": text})


def test_what_canonical_json_cannot_hold_is_refused() -> None:
    for value in (2**53, -(2**53), float("nan"), "\ud800", {"\ud800": 1}, {1: 1}, {1, 2}):
        with pytest.raises(LeafError):
            opening(NONCE, {"value": value})
