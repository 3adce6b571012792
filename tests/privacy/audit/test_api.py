"""What outsiders read of the log over HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.audit.checkpoint import open_checkpoint
from privacy.audit.leaf import parse_leaf
from privacy.audit.merkle import leaf_hash
from privacy.audit.note import Verifier
from privacy.audit.proof import TlogProof
from privacy.audit.sequencer import read_verifier
from privacy.audit.tiles import TilePath, TileTree, parse_entries
from tests.privacy.audit.logged import record
from tests.support.sample import PAGES
from tests.support.world import World

pytestmark = PAGES


def auditor(world: World, *scopes: Scope) -> FlaskClient:
    """A client whose token carries `scopes`."""
    world.app.extensions["placet.bearer"] = lambda: Actor(
        kind=ActorKind.APPLICATION, client_id="auditor", domain="auditor", scopes=frozenset(scopes)
    )
    return world.client


@pytest.fixture
def anonymous(world: World) -> FlaskClient:
    world.app.extensions["placet.bearer"] = lambda: None
    return world.client


def test_before_the_first_checkpoint_there_is_a_problem_document(anonymous: FlaskClient) -> None:
    answer = anonymous.get("/v1/audit/checkpoint")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_checkpoint_and_key_are_public_and_fit_each_other(
    world: World, anonymous: FlaskClient
) -> None:
    world.settle()
    key = anonymous.get("/v1/audit/key")
    note = anonymous.get("/v1/audit/checkpoint")
    assert (key.mimetype, note.mimetype) == ("text/plain", "text/plain")
    verifier = Verifier.from_vkey(key.text.removesuffix("\n"))
    assert verifier == read_verifier(world.placet.keys_folder)
    checkpoint = open_checkpoint(note.text, [verifier], verifier.name)
    assert checkpoint.size == world.verify().size


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/000", "proof?entry_id=" + "0" * 32])
def test_tiles_and_proofs_need_their_scope(world: World, anonymous: FlaskClient, path: str) -> None:
    assert anonymous.get(f"/v1/audit/{path}").status_code == 401
    assert auditor(world, Scope.REPORTS_READ).get(f"/v1/audit/{path}").status_code == 403


def test_a_stranger_rebuilds_the_tree_from_tiles_and_bundles(world: World) -> None:
    record(world, 300)
    world.settle()
    client = auditor(world, Scope.AUDIT_READ)
    verifier = Verifier.from_vkey(client.get("/v1/audit/key").text.strip())
    note = client.get("/v1/audit/checkpoint").text
    checkpoint = open_checkpoint(note, [verifier], verifier.name)
    rest = checkpoint.size - 256

    def fetch(level: int | None, index: int, width: int) -> bytes:
        answer = client.get(f"/v1/audit/{TilePath(level, index, width).encode()}")
        assert answer.status_code == 200
        assert answer.mimetype == "application/octet-stream"
        whole = answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert whole == (width == 256)
        return bytes(answer.data)

    widths = {(0, 0): 256, (0, 1): rest, (1, 0): 1}
    tree = TileTree(checkpoint.size, lambda level, n: fetch(level, n, widths[level, n]))
    assert tree.root() == checkpoint.root
    leaves = parse_entries(fetch(None, 0, 256)) + parse_entries(fetch(None, 1, rest))
    hashes = fetch(0, 0, 256) + fetch(0, 1, rest)
    assert b"".join(map(leaf_hash, leaves)) == hashes
    assert parse_leaf(leaves[-1]).at == world.clock.now
    assert fetch(0, 1, rest - 3) == fetch(0, 1, rest)[:-96]


@pytest.mark.parametrize(
    "path",
    ["0/001", "0/000.p/255", "1/000", "entries/000", "0/0", "x/000", "0/000.p/256", "0/-01", ""],
)
def test_a_tile_that_is_not_there_or_no_path_is_not_found(world: World, path: str) -> None:
    world.settle()
    answer = auditor(world, Scope.AUDIT_READ).get(f"/v1/audit/tile/{path}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_a_proof_is_pending_and_then_convinces_a_pure_verifier(world: World) -> None:
    [entry_id] = record(world, 1)
    client = auditor(world, Scope.AUDIT_READ)
    assert client.get(f"/v1/audit/proof?entry_id={entry_id}").json == {
        "entry_id": entry_id,
        "log": "pending",
    }
    world.settle()
    answer = client.get(f"/v1/audit/proof?entry_id={entry_id}").json
    assert answer is not None
    assert answer["log"] == "logged"
    verifier = read_verifier(world.placet.keys_folder)
    proof = TlogProof.parse(answer["proof"])
    proof.verify(answer["leaf"].encode(), [verifier], verifier.name)
    assert proof.index == answer["index"]
    assert proof.checkpoint == answer["checkpoint"] == client.get("/v1/audit/checkpoint").text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("entry_id=" + "0" * 32, 404),
        ("entry_id=xyz", 422),
        ("entry_id=" + "0" * 32 + "%0A", 422),
        ("", 422),
        ("entry_id=" + "0" * 32 + "&more=1", 422),
        (f"entry_id={'0' * 32}&entry_id={'0' * 32}", 422),
    ],
)
def test_a_proof_of_what_is_not_there_is_a_problem(world: World, query: str, status: int) -> None:
    answer = auditor(world, Scope.AUDIT_READ).get(f"/v1/audit/proof?{query}")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
