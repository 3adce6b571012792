from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit import bundle, export, tiles
from privacy.audit.bundle import ProblemCode
from privacy.audit.checkpoint import Checkpoint
from privacy.audit.encoding import FormatError, b64
from privacy.audit.erasure import Opening, commit, padded_size
from privacy.audit.export import BundleError, ExportEntry
from privacy.audit.leaf import Leaf, commitment, encode_leaf
from privacy.audit.merkle import leaf_hash
from privacy.audit.note import Signer

AT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
ORIGIN = "log.example/placet"
ERASED = (2, 5, 6)
ERASURE = 8  # index of the erasure's leaf
SIZE = 10

signer = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1"))
other_key = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\2"))


def chosen(label: str, index: int) -> bytes:
    """Stands for 32 random bytes, the same in each run."""
    return sha256(f"{label} {index}".encode()).digest()


def payload_of(index: int) -> dict[str, object]:
    return {"person": f"ana-{index}", "notice": 3, "text": "¿Sí?"}


class Log:
    """Ten entries, three of them erased later, under one signed checkpoint."""

    def __init__(self, *, erasure_at: int = ERASURE, again_at: int | None = None) -> None:
        self.erasure_at, self.again_at = erasure_at, again_at
        plain = {
            index: encode_leaf(
                Leaf(
                    "consent:consent:given",
                    "newsletter",
                    "r17",
                    AT + timedelta(seconds=index),
                    commitment(chosen("nonce", index), payload_of(index)),
                )
            )
            for index in range(SIZE)
            if index not in {erasure_at, again_at}
        }
        names = [leaf_hash(plain[index]) for index in ERASED]
        salts = [chosen("salt", n) for n in range(padded_size(len(names)))]
        root, openings = commit(names, salts)
        self.openings: dict[int, Opening] = {
            index: openings[name] for index, name in zip(ERASED, names, strict=True)
        }
        c = commitment(chosen("nonce", erasure_at), payload_of(erasure_at))
        erasure = encode_leaf(Leaf("audit:erasure:executed", None, None, AT, c, erased=root))
        self.leaves = [plain.get(index, erasure) for index in range(SIZE)]
        stored = tiles.append(0, [leaf_hash(leaf) for leaf in self.leaves], lambda *_: b"")
        self.tree = tiles.TileTree(SIZE, lambda *place: stored[place])
        self.note = signer.sign(Checkpoint(ORIGIN, SIZE, self.tree.root()).encode())

    def entry(self, index: int) -> ExportEntry:
        gone = index in self.openings
        event = self.erasure_at if index == self.again_at else index
        return ExportEntry(
            index=index,
            entry_id=chosen("id", index)[:16],
            leaf=self.leaves[index],
            proof=tuple(self.tree.inclusion_proof(index)),
            payload=None if gone else payload_of(event),
            nonce=None if gone else chosen("nonce", event),
            opening=self.openings.get(index),
        )

    def export(self, *indexes: int) -> dict[str, Any]:
        document = export.compose(
            signer.verifier,
            self.note,
            [self.entry(index) for index in indexes or range(SIZE)],
            meta={"issued_by": "Delia"},
            register={"revision": "r17"},
        )
        return dict(export.load(json.dumps(document).encode()))


LOG = Log()
DOCUMENT = LOG.export()


def codes(document: dict[str, Any]) -> list[tuple[int | None, str]]:
    report = bundle.verify(document, signer.vkey)
    return [(problem.index, problem.code.value) for problem in report.problems]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The good export after `change` was made to a copy of it."""
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


def with_entry(position: int, /, **members: object) -> dict[str, Any]:
    return changed(lambda document: document["entries"][position].update(members))


def test_a_whole_export_holds_with_its_erased_entries() -> None:
    report = bundle.verify(DOCUMENT, signer.vkey)
    assert report.ok
    assert report.problems == ()
    assert report.warnings == ()
    assert report.first_bad is None
    assert (report.checked, report.disclosed, report.erased, report.withheld) == (10, 7, 3, 0)
    assert (report.origin, report.size, report.root) == (ORIGIN, SIZE, LOG.tree.root())
    assert report.key_trusted
    assert report.key_fingerprint == signer.verifier.fingerprint


def test_a_part_of_the_log_in_any_order_holds() -> None:
    report = bundle.verify(LOG.export(9, ERASURE, 5, 0), signer.vkey)
    assert report.ok
    assert (report.checked, report.size, report.erased) == (4, SIZE, 1)


def test_an_export_without_entries_or_register_holds() -> None:
    document = export.compose(signer.verifier, LOG.note, [], meta={})
    assert "register" not in document
    assert bundle.verify(document, signer.vkey).ok


def test_the_key_in_the_file_is_used_only_with_a_warning() -> None:
    report = bundle.verify(DOCUMENT, None)
    assert report.ok
    assert not report.key_trusted
    assert "No trusted key" in report.warnings[0]
    assert report.key_fingerprint == signer.verifier.fingerprint


def test_a_forged_export_does_not_hold_under_the_trusted_key() -> None:
    forged = changed(
        lambda document: document.update(
            vkey=other_key.vkey,
            checkpoint=other_key.sign(Checkpoint(ORIGIN, SIZE, LOG.tree.root()).encode()),
        )
    )
    assert bundle.verify(forged, None).ok  # it fits itself: hence the warning
    report = bundle.verify(forged, signer.vkey)
    assert [problem.code for problem in report.problems] == [ProblemCode.CHECKPOINT_UNVERIFIED]
    assert (report.checked, report.size, report.root) == (0, None, None)
    assert "another key" in report.warnings[0]
    assert report.key_fingerprint == signer.verifier.fingerprint


def test_a_true_checkpoint_beside_another_key_holds_with_a_warning() -> None:
    report = bundle.verify(
        changed(lambda document: document.update(vkey=other_key.vkey)), signer.vkey
    )
    assert report.ok
    assert "another key" in report.warnings[0]


@pytest.mark.parametrize(
    "members",
    [
        {"checkpoint": LOG.note.replace("\n10\n", "\n11\n")},
        {"checkpoint": ""},
        {"checkpoint": "\ud800"},
        {"checkpoint": signer.sign("no checkpoint\n")},
        {"checkpoint": signer.sign(Checkpoint("other", SIZE, LOG.tree.root()).encode())},
        {"origin": "other"},
        {
            "origin": "other",
            "checkpoint": signer.sign(Checkpoint("other", SIZE, LOG.tree.root()).encode()),
        },
    ],
    ids=range(7),
)
def test_without_a_signed_checkpoint_of_this_log_nothing_is_checked(
    members: dict[str, object],
) -> None:
    report = bundle.verify(changed(lambda document: document.update(members)), signer.vkey)
    assert [(p.index, p.code) for p in report.problems] == [
        (None, ProblemCode.CHECKPOINT_UNVERIFIED)
    ]
    assert not report.ok
    assert report.checked == 0


def test_a_changed_payload_or_nonce_is_found() -> None:
    changes: list[dict[str, object]] = [
        {"payload": payload_of(3) | {"notice": 4}},
        {"payload": payload_of(3) | {"added": None}},
        {"payload": {}},
        {"nonce": b64(bytes(32))},
    ]
    for members in changes:
        assert codes(with_entry(3, **members)) == [(3, "payload-mismatch")]


def test_a_payload_may_be_spaced_and_ordered_as_it_likes() -> None:
    payload = dict(reversed(payload_of(3).items())) | {"notice": 3.0}
    assert codes(with_entry(3, payload=payload)) == []


def test_a_changed_leaf_is_found() -> None:
    leaf = LOG.leaves[3].decode()
    for other, code in (
        (leaf.replace("newsletter", "profiling"), "not-in-tree"),
        (LOG.leaves[4].decode(), "not-in-tree"),
        (leaf.replace(",", ", "), "leaf-not-canonical"),
        (leaf + "\n", "leaf-not-canonical"),
        ("", "leaf-not-canonical"),
        ("[" * 60_000, "leaf-not-canonical"),
        ("x" * 100_000, "leaf-not-canonical"),
        ("\ud800", "entry-malformed"),
    ):
        assert codes(with_entry(3, leaf=other)) == [(3, code)]


def test_a_changed_proof_is_found() -> None:
    proof = DOCUMENT["entries"][3]["proof"]
    zero = b64(bytes(32))
    for other in ([], proof[1:], proof[:-1], [*proof, zero], [zero, *proof[1:]], [zero] * 64):
        assert codes(with_entry(3, proof=other)) == [(3, "not-in-tree")]


def test_an_entry_at_another_index_is_found() -> None:
    for index in (10, 11, 2**64 - 1):
        assert codes(with_entry(3, index=index)) == [(index, "not-in-tree")]


def test_an_entry_twice_is_found() -> None:
    twice = changed(lambda document: document["entries"].append(document["entries"][3]))
    assert codes(twice) == [(3, "duplicate-index")]
    same_id = with_entry(4, entry_id=DOCUMENT["entries"][3]["entry_id"])
    assert codes(same_id) == [(4, "duplicate-entry-id")]


def test_a_payload_taken_out_is_called_withheld() -> None:
    document = with_entry(3, payload=None, nonce=None)
    assert codes(document) == [(3, "withheld")]
    report = bundle.verify(document, signer.vkey)
    assert (report.withheld, report.erased, report.disclosed) == (1, 3, 6)


def test_an_opening_of_another_entry_does_not_excuse_a_missing_payload() -> None:
    """Even where the entry that it belongs to is left out of the export, and its id is borrowed."""
    stolen = copy.deepcopy(LOG.export(3, ERASURE))
    stolen["entries"][0] |= {
        "payload": None,
        "nonce": None,
        "opening": DOCUMENT["entries"][5]["opening"],
        "entry_id": DOCUMENT["entries"][5]["entry_id"],
    }
    assert codes(stolen) == [(3, "withheld")]


def test_an_erasure_that_is_not_in_the_export_excuses_nothing() -> None:
    assert codes(LOG.export(2, 5)) == [(2, "withheld"), (5, "withheld")]


def test_an_erasure_that_is_not_proven_excuses_nothing() -> None:
    assert codes(with_entry(ERASURE, proof=[])) == [
        (2, "withheld"),
        (5, "withheld"),
        (6, "withheld"),
        (ERASURE, "not-in-tree"),
    ]


def test_an_erasure_that_stands_before_the_entry_excuses_nothing() -> None:
    early = Log(erasure_at=4)
    assert codes(early.export()) == [(5, "withheld"), (6, "withheld")]


def test_an_erasure_that_the_log_holds_twice_counts_from_its_last_place() -> None:
    twice = Log(erasure_at=4, again_at=8)
    assert codes(twice.export()) == []
    assert codes(twice.export(*reversed(range(SIZE)))) == []


def test_an_erasure_whose_own_payload_is_withheld_still_excuses_the_others() -> None:
    assert codes(with_entry(ERASURE, payload=None, nonce=None)) == [(ERASURE, "withheld")]


def test_a_payload_beside_an_opening_is_no_erasure() -> None:
    held = {"payload": payload_of(5), "nonce": b64(chosen("nonce", 5))}
    assert codes(with_entry(5, **held)) == [(5, "entry-malformed")]


def test_problems_stand_in_the_order_of_the_file_with_the_first_bad_entry() -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["entries"][7]["payload"] = {}
        document["entries"][4]["payload"] = None
        document["entries"][6]["proof"] = []
        document["entries"].insert(0, "not an entry")

    report = bundle.verify(changed(spoil), signer.vkey)
    assert [(p.index, p.code.value) for p in report.problems] == [
        (None, "entry-malformed"),
        (4, "entry-malformed"),
        (6, "not-in-tree"),
        (7, "payload-mismatch"),
    ]
    assert report.first_bad == 4
    assert report.problems[1].message.startswith("entries[5]: ")


HOSTILE: list[object] = [
    None,
    True,
    0,
    -1,
    1.5,
    float("nan"),
    2**64,
    10**6000,
    "",
    "A",
    "\ud800",
    "x" * 100_000,
    [],
    [None],
    ["!"],
    [[]],
    {},
    {"a": float("nan")},
    {"a": 10**6000},
    {"\ud800": "\ud800"},
    {"salt": "", "index": True, "size": 1, "path": []},
]


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("value", [*HOSTILE, deep(100_000)], ids=range(len(HOSTILE) + 1))
def test_no_hostile_value_in_an_entry_raises_or_passes(value: object) -> None:
    for member in DOCUMENT["entries"][3]:
        if member == "opening" and value is None:
            continue  # that is what the good entry has
        document = with_entry(3, **{member: value})
        report = bundle.verify(document, signer.vkey)
        assert len(report.problems) == 1, member
    for at in (0, 9, 10):
        document = copy.deepcopy(DOCUMENT)
        document["entries"].insert(at, value)
        assert bundle.verify(document, signer.vkey).problems


@pytest.mark.parametrize("value", [*HOSTILE, deep(100_000)], ids=range(len(HOSTILE) + 1))
def test_no_hostile_value_in_the_head_raises_anything_but_a_bundle_error(value: object) -> None:
    for member in DOCUMENT:
        document = {**DOCUMENT, member: value}
        try:
            report = bundle.verify(document, signer.vkey)
        except BundleError:
            continue
        opaque = member in {"meta", "register"} and isinstance(value, dict)
        assert report.ok == (opaque or (member, value) == ("entries", [])), member


@given(st.data())
@settings(deadline=None)
def test_no_change_of_the_file_makes_a_false_statement_hold(data: st.DataObject) -> None:
    """Whatever bytes are changed: the file is refused, or its leaves and payloads are the log's."""
    raw = json.dumps(LOG.export(1, 2, ERASURE)).encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    piece = data.draw(st.binary(max_size=2))
    mutated = raw[:at] + piece + raw[at + data.draw(st.integers(0, 2)) :]
    try:
        document = export.load(mutated)
        report = bundle.verify(document, signer.vkey)
    except BundleError:
        return
    if not report.ok:
        return
    entries = document["entries"]
    assert isinstance(entries, list)
    for entry in entries:
        assert entry["leaf"].encode() == LOG.leaves[entry["index"]]
        assert entry["payload"] in (None, payload_of(entry["index"]))


def test_a_document_with_other_members_is_no_export() -> None:
    for name in DOCUMENT.keys() - {"register"}:
        missing = {member: value for member, value in DOCUMENT.items() if member != name}
        with pytest.raises(BundleError):
            bundle.verify(missing, signer.vkey)
    with pytest.raises(BundleError, match="exactly"):
        bundle.verify({**DOCUMENT, "extra": 1}, signer.vkey)


def test_an_entry_with_other_members_is_malformed() -> None:
    assert codes(with_entry(3, extra=1)) == [(3, "entry-malformed")]
    for name in DOCUMENT["entries"][3]:
        document = copy.deepcopy(DOCUMENT)
        del document["entries"][3][name]
        assert codes(document) == [(None if name == "index" else 3, "entry-malformed")]


def test_an_export_of_more_than_a_million_entries_is_refused() -> None:
    with pytest.raises(BundleError, match="1,000,000"):
        bundle.verify({**DOCUMENT, "entries": [None] * 1_000_001}, signer.vkey)


def test_a_malformed_trusted_key_is_an_error_and_not_a_fallback_to_the_file() -> None:
    for vkey in ("", "log.example", signer.vkey[:-1]):
        with pytest.raises(BundleError, match="the log's key"):
            bundle.verify(DOCUMENT, vkey)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1}x',
        b'\xef\xbb\xbf{"a":1}',
    ],
    ids=range(14),
)
def test_bytes_that_are_not_one_plain_json_object_are_refused(raw: bytes) -> None:
    with pytest.raises(BundleError):
        export.load(raw)


@pytest.mark.parametrize(
    "members",
    [
        {"index": -1},
        {"index": 2**64},
        {"entry_id": bytes(15)},
        {"proof": (bytes(32),) * 65},
        {"payload": None},
        {"nonce": None},
        {"opening": LOG.openings[5]},
    ],
    ids=range(7),
)
def test_an_entry_that_could_not_hold_is_not_exported(members: dict[str, Any]) -> None:
    good = LOG.entry(3)
    fields = {name: getattr(good, name) for name in ExportEntry.__dataclass_fields__}
    with pytest.raises(FormatError):
        ExportEntry(**fields | members)
