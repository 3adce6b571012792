"""The JSON of `/v1/audit`."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class ProofQuery(Schema):
    """Which entry is to be proven."""

    entry_id = fields.String(
        required=True,
        validate=validate.Regexp(r"\A[0-9a-f]{32}\Z", error="32 hexadecimal digits"),
        metadata={
            "description": "The entry's id, from a receipt or an answer.",
            "example": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        },
    )


class ProofAnswer(Schema):
    """Where the entry stands, and the proof; of a pending entry `entry_id` and `log` alone."""

    entry_id = fields.String(required=True)
    log = fields.String(
        required=True,
        validate=validate.OneOf(("pending", "logged")),
        metadata={"description": "`pending` until the worker gave it its place (seconds)."},
    )
    index = fields.Integer(metadata={"description": "Place in the log, from 0."})
    leaf = fields.String(metadata={"description": "The leaf's exact text, canonical JSON."})
    proof = fields.String(metadata={"description": "A C2SP tlog-proof@v1, checkpoint included."})
    checkpoint = fields.String(metadata={"description": "The signed note, C2SP tlog-checkpoint."})
