"""What identifies a register's whole content, as it is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

from policies.register import canonical
from policies.register.model import (
    AccountNotices,
    CollectionPoint,
    Controller,
    DataCategory,
    Notice,
    Purpose,
    Recipient,
    RetentionRule,
    Security,
)
from policies.register.units import default_gpc


def register_digest(  # one argument for each part of a register
    controller: Controller,
    purposes: Mapping[str, Purpose],
    categories: Mapping[str, DataCategory],
    recipients: Mapping[str, Recipient],
    retention: Mapping[str, RetentionRule],
    notices: Mapping[str, Notice],
    collection_points: Mapping[str, CollectionPoint],
    account: AccountNotices,
    security: Security,
) -> str:
    """What identifies a register's whole content: SHA-256 in hex of its canonical JSON.

    The JSON, after RFC 8785, has one member for each argument: controller, account and security
    objects, the rest arrays in the order of the files, of objects with the members of `model`'s
    dataclasses; dates as YYYY-MM-DD. Of notices it has the published revisions alone, each with its
    digest in place of its texts: a draft changes nothing. What has a default there and is at it is
    left out, so a register that does not use what came later keeps its digest. Purposes and collection points go in as declared: what is asked for unit by unit stands there
    once.
    """
    published = [
        {
            "id": notice.id,
            "revisions": [
                {
                    "digest": each.digest,
                    "material": each.material,
                    "published": each.published.isoformat(),
                    "version": each.version,
                }
                for each in notice.revisions
                if each.published
            ],
        }
        for notice in notices.values()
        if notice.current
    ]
    later = {"account": canonical.plain(account), "security": canonical.plain(security)}
    return canonical.digest(
        {
            **{name: content for name, content in later.items() if content},
            "categories": canonical.plain(tuple(categories.values())),
            "collection_points": canonical.plain(tuple(collection_points.values())),
            "controller": canonical.plain(controller),
            "notices": published,
            "purposes": [_purpose(each, recipients) for each in purposes.values()],
            "recipients": canonical.plain(tuple(recipients.values())),
            "retention": canonical.plain(tuple(retention.values())),
        }
    )


def _purpose(purpose: Purpose, recipients: Mapping[str, Recipient]) -> object:
    """A purpose as it is declared; `gpc` stands only where it is not what it would be unsaid."""
    content = cast("dict[str, object]", canonical.plain(dataclasses.replace(purpose, gpc=False)))
    if purpose.gpc != default_gpc(purpose, recipients):
        content["gpc"] = purpose.gpc
    return content
