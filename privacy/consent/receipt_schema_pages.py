"""The published forms of a receipt, and the script that verifies one: files of docs/."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from flask import Blueprint, Response

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.http import requires

DOCS: Final = Path(__file__).resolve().parent.parent.parent / "docs"
#: What is served below /schema/: its file in docs/, and its media type.
PUBLISHED: Final = MappingProxyType(
    {
        "consent-receipt.schema.json": ("schema", "application/schema+json"),
        "kantara-consent-receipt.schema.json": ("schema", "application/schema+json"),
        "consent-receipt.shacl.ttl": ("schema", "text/turtle"),
        "consent-receipt.context.jsonld": ("schema", "application/ld+json"),
        "verify_receipt.py": ("", "text/x-python"),
    }
)


def blueprint() -> Blueprint:
    """Return the route of the published files."""
    routes = Blueprint("consent_schema_pages", __name__)

    @routes.get("/schema/<name>")
    @requires(Scope.PUBLIC)
    def schema(name: str) -> Response:
        """Return a published schema, shape, context, or the script."""
        if name not in PUBLISHED:
            raise NotFound("there is no such schema")
        folder, media_type = PUBLISHED[name]
        text = (DOCS / folder / name).read_text(encoding="utf-8")
        response = Response(text, content_type=f"{media_type}; charset=utf-8")
        response.headers["Access-Control-Allow-Origin"] = "*"  # public files, for any tool
        return response

    return routes
