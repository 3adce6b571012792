"""What outsiders see of the log: checkpoint, key, tiles, proofs. Source: C2SP tlog-tiles."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.audit import store
from privacy.audit.encoding import HASH_BYTES, FormatError
from privacy.audit.inclusion import Inclusions
from privacy.audit.note import Verifier
from privacy.audit.schemas import ProofAnswer, ProofQuery
from privacy.audit.tiles import WIDTH, TilePath, encode_entries, tile_width
from privacy.http import parse_query, requires
from privacy.openapi import Operation, documented
from privacy.unit_of_work import Runtime

#: Behind a bearer token, hence private; a tile's bytes never change once they are served.
TILE_CACHE = "private, max-age=31536000, immutable"


def blueprint(runtime: Runtime, read_key: Callable[[], Verifier]) -> Blueprint:
    """Return the routes of the log.

    Args:
        runtime: the reading door.
        read_key: gives the log's verification key, from outside the database.
    """
    routes = Blueprint("audit_api", __name__)

    @routes.get("/v1/audit/checkpoint")
    @requires(Scope.PUBLIC)
    @documented(
        Operation(
            summary="Read the log's newest signed checkpoint",
            tag="audit",
            answers={200: None},
            media_type="text/plain",
            problems=("not-found",),
        )
    )
    def checkpoint() -> Response:
        """Return the newest signed tree head, a C2SP signed note."""
        with runtime.snapshot() as session:
            latest = store.latest_checkpoint(session)
        if latest is None:
            raise NotFound("nothing was logged yet; the first checkpoint comes within seconds")
        return _text(latest.note)

    @routes.get("/v1/audit/key")
    @requires(Scope.PUBLIC)
    @documented(
        Operation(
            summary="Read the log's verification key",
            tag="audit",
            answers={200: None},
            media_type="text/plain",
        )
    )
    def key() -> Response:
        """Return the log's key as one vkey line."""
        return _text(read_key().vkey + "\n")

    @routes.get("/v1/audit/tile/<path:name>")
    @requires(Scope.AUDIT_READ)
    @documented(
        Operation(
            summary="Read a tile of the tree, or a bundle of entries",
            tag="audit",
            answers={200: None},
            media_type="application/octet-stream",
            problems=("not-found",),
        )
    )
    def tile(name: str) -> Response:
        """Return a full or partial tile as bytes."""
        try:
            path = TilePath.parse(f"tile/{name}")
        except FormatError:
            raise NotFound("that is no tile's path") from None
        with runtime.snapshot() as session:
            content = _tile(session, path)
        response = Response(content, mimetype="application/octet-stream")
        response.headers["Cache-Control"] = TILE_CACHE if path.width == WIDTH else "no-store"
        return response

    @routes.get("/v1/audit/proof")
    @requires(Scope.AUDIT_READ)
    @documented(
        Operation(
            summary="Prove that an entry stands in the log",
            tag="audit",
            query=ProofQuery,
            answers={200: ProofAnswer},
            problems=("invalid-input", "not-found"),
        )
    )
    def proof() -> Response:
        """Return an entry's place and the proof of it."""
        entry_id = parse_query(ProofQuery())["entry_id"]
        with runtime.snapshot() as session:
            inclusions = Inclusions(session)
            placed = inclusions.find(entry_id)
            if placed is not None:
                return jsonify(
                    entry_id=entry_id,
                    log="logged",
                    index=placed.index,
                    leaf=placed.leaf.decode(),
                    proof=inclusions.tlog_proof(placed),
                    checkpoint=inclusions.checkpoint,
                )
            if next(store.entries(session, [entry_id]), None) is None:
                raise NotFound("there is no such entry")
        return jsonify(entry_id=entry_id, log="pending")

    return routes


def _text(content: str) -> Response:
    return Response(content, mimetype="text/plain")


def _tile(session: Session, path: TilePath) -> bytes:
    latest = store.latest_checkpoint(session)
    size = 0 if latest is None else latest.tree_size
    if tile_width(size, path.level or 0, path.index) < path.width:
        raise NotFound("the tree has not grown that far")
    if path.level is not None:
        return store.read_tile(session, path.level, path.index)[: path.width * HASH_BYTES]
    first = path.index * WIDTH
    rows = store.leaves(session, first, first + path.width)
    return encode_entries(leaf for _index, _entry_id, leaf, _tag in rows)
