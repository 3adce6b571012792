from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.vocabulary import EventTag
from privacy.audit.leaf import Leaf, LeafError, commitment, encode_leaf, parse_leaf

C = bytes(range(32))
AT = datetime(2026, 11, 21, 20, 37, 5, tzinfo=UTC)
GIVEN = Leaf("consent:consent:given", "newsletter", "r17", AT, C)
ERASED = Leaf("audit:erasure:executed", None, None, AT, C, erased=bytes(32))

# Written out by hand: these bytes are fixed for good.
GIVEN_BYTES = (
    b'{"at":"2026-11-21T20:37:05Z","c":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",'
    b'"policy_version":"r17","purpose":"newsletter","type":"consent:consent:given","v":1}'
)
ERASED_BYTES = (
    b'{"at":"2026-11-21T20:37:05Z","c":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",'
    b'"erased":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","policy_version":null,"purpose":null,'
    b'"type":"audit:erasure:executed","v":1}'
)

NAMES = st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,60}", fullmatch=True)
LEAVES = st.builds(
    Leaf,
    type=st.from_regex(r"[a-z][a-z0-9-]{0,9}(:[a-z][a-z0-9-]{0,9}){2}", fullmatch=True),
    purpose=NAMES,
    policy_version=NAMES,
    at=st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
    c=st.binary(min_size=32, max_size=32),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("leaf", "data"), [(GIVEN, GIVEN_BYTES), (ERASED, ERASED_BYTES)])
def test_a_leaf_has_these_bytes_for_good(leaf: Leaf, data: bytes) -> None:
    assert encode_leaf(leaf) == data
    assert parse_leaf(data) == leaf


@pytest.mark.parametrize("tag", EventTag)
def test_each_event_of_the_vocabulary_can_be_a_leaf(tag: EventTag) -> None:
    root = bytes(32) if tag is EventTag.AUDIT_ERASURE_EXECUTED else None
    leaf = Leaf(tag, None, None, AT, C, erased=root)
    assert parse_leaf(encode_leaf(leaf)) == leaf


@given(LEAVES)
def test_a_leaf_gives_itself_back(leaf: Leaf) -> None:
    assert parse_leaf(encode_leaf(leaf)) == leaf


@given(LEAVES | st.just(ERASED), st.integers(min_value=0), st.binary(max_size=3), st.integers(0, 3))
def test_a_changed_leaf_is_refused_or_is_another_leaf(
    leaf: Leaf, at: int, inserted: bytes, removed: int
) -> None:
    data = encode_leaf(leaf)
    at %= len(data)
    changed = data[:at] + inserted + data[at + removed :]
    try:
        other = parse_leaf(changed)
    except LeafError:
        return
    assert encode_leaf(other) == changed
    assert (other == leaf) == (changed == data)


def test_the_time_is_utc_and_cut_to_the_second() -> None:
    madrid = datetime(2026, 11, 21, 21, 37, 5, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert encode_leaf(Leaf(GIVEN.type, "newsletter", "r17", madrid, C)) == GIVEN_BYTES


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"at"', b'{ "at"'),
        (b'"v":1}', b'"v":1}\n'),
        (b'"v":1}', b'"v":true}'),
        (b'"v":1}', b'"v":1.0}'),
        (b'"v":1}', b'"v":2}'),
        (b'"v":1}', b'"v":"1"}'),
        (b'"v":1}', b'"v":' + b"9" * 5000 + b"}"),
        (b'"v":1}', b'"v":NaN}'),
        (b'"v":1}', b'"v":1,"v":1}'),
        (b'"v":1}', b'"v":1,"x":1}'),
        (b'"v":1}', b'"subject":"ana","v":1}'),
        (b'"v":1}', b'"count":1,"v":1}'),
        (b',"v":1}', b"}"),
        (b"newsletter", b"\\u006eewsletter"),
        (b'"newsletter"', b"null "),
        (b'"newsletter"', b'""'),
        (b'"newsletter"', b'"ana@example.es"'),
        (b'"newsletter"', b'"ana maria"'),
        (b'"newsletter"', b'"' + b"x" * 129 + b'"'),
        (b'"newsletter"', b'["newsletter"]'),
        (b'"r17"', b"17"),
        (b"20:37:05Z", b"20:37:05+00:00"),
        (b"20:37:05Z", b"20:37:05z"),
        (b"20:37:05Z", b"20:37:05.0Z"),
        (b"T20:37:05Z", b" 20:37:05Z"),
        (b"20:37:05Z", b"24:00:00Z"),
        (b"20:37:05Z", b"23:59:60Z"),
        (b"2026-11-21", b"2026-11-31"),
        (b"2026-11-21", b"0000-11-21"),
        (b"Hh8", b"Hh9"),  # other spare bits, the same 32 bytes
        (b"Hh8", b"Hh8="),
        (b"Hh8", b"Hg"),
        (b"AAEC", b"AA/C"),
        (b"consent:consent:given", b"consent:given"),
        (b"consent:consent:given", b"consent:consent:Given"),
        (b"consent:consent:given", b"audit:erasure:executed"),
        (b'"c":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"', b'"c":null'),
    ],
)
def test_a_leaf_of_another_form_is_refused(old: bytes, new: bytes) -> None:
    assert old in GIVEN_BYTES
    with pytest.raises(LeafError):
        parse_leaf(GIVEN_BYTES.replace(old, new))


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 60_000, b'{"v":' * 10_000, b" " * 70_000]
)
def test_bytes_that_are_no_leaf_are_refused(data: bytes) -> None:
    with pytest.raises(LeafError):
        parse_leaf(data)


@pytest.mark.parametrize("erased", [b'"AAAA"', b"null", b"1"])
def test_an_erasure_names_a_root_of_32_bytes(erased: bytes) -> None:
    root = b'"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"'
    assert root in ERASED_BYTES
    with pytest.raises(LeafError):
        parse_leaf(ERASED_BYTES.replace(root, erased))


def test_only_an_erasure_carries_a_root_and_it_always_does() -> None:
    with pytest.raises(LeafError, match="an erasure"):
        Leaf("consent:consent:given", None, None, AT, C, erased=bytes(32))
    with pytest.raises(LeafError, match="an erasure"):
        Leaf("audit:erasure:executed", None, None, AT, C)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(LeafError, match="time zone"):
        Leaf(GIVEN.type, None, None, AT.replace(tzinfo=None), C)


def test_a_commitment_of_another_length_is_refused() -> None:
    with pytest.raises(LeafError, match="32 bytes"):
        Leaf(GIVEN.type, None, None, AT, C[:31])


# -- commitment ---------------------------------------------------------------------------------


def test_a_commitment_is_the_hash_of_nonce_and_canonical_json() -> None:
    payload = {"b": [1, True, None, "ñ"], "a": {"€": 1.5, "\r": 1e21}}
    canonical = '{"a":{"\\r":1e+21,"€":1.5},"b":[1,true,null,"ñ"]}'.encode()
    assert commitment(C, payload) == sha256(C + canonical).digest()


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=4))
def test_a_payload_read_back_from_json_has_the_same_commitment(payload: dict[str, object]) -> None:
    again = json.loads(json.dumps(payload, indent=2))
    assert commitment(C, again) == commitment(C, payload)


def test_another_nonce_or_payload_has_another_commitment() -> None:
    ways = {
        commitment(nonce, payload)
        for nonce in (C, bytes(32))
        for payload in ({}, {"a": 1}, {"a": "1"}, {"a": None}, {"a": [1]})
    }
    assert len(ways) == 10


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_nonce_of_another_length_is_refused(nonce: bytes) -> None:
    with pytest.raises(LeafError, match="nonce"):
        commitment(nonce, {})


def nested(levels: int) -> dict[str, object]:
    payload: dict[str, object] = {}
    for _ in range(levels - 1):
        payload = {"a": payload}
    return payload


def cyclic() -> dict[str, object]:
    payload: dict[str, object] = {}
    payload["a"] = [payload]
    return payload


@pytest.mark.parametrize(
    "payload",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 2**53},
        {"a": 10**6000},
        {"a": "\ud800"},
        {"\ud800": "a"},
        {"a": b"bytes"},
        {"a": AT},
        {1: "a"},
        {"a": "x" * 1_048_576},
        nested(33),
        nested(100_000),
        cyclic(),
    ],
    ids=range(13),
)
def test_a_payload_that_is_not_json_or_too_large_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(LeafError):
        commitment(C, payload)


def test_a_payload_of_32_levels_is_accepted() -> None:
    assert len(commitment(C, nested(32))) == 32
