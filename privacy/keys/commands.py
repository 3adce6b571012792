"""`placet keys`: the keys that sign tokens and receipts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import click

from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.keys.signing import KeyUse, SigningKey, SigningKeys
from privacy.unit_of_work import Runtime

Deployment = Callable[[], tuple[Runtime, SigningKeys]]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def group(deployment: Deployment) -> click.Group:
    """Return the commands; `deployment` is called when one runs."""

    @click.group()
    def keys() -> None:
        """Keys that sign tokens and receipts, and those that wrap people's: docs/operations.md."""

    @keys.command("list")
    @as_json
    def list_(*, as_json: bool) -> None:
        """List every key: which one signs, which comes next, until when each is published."""
        runtime, signing_keys = deployment()
        with runtime.snapshot() as session:
            now = runtime.clock()
            found = [_told(key, now) for key in signing_keys.all(session)]
        if as_json:
            click.echo(json.dumps(found, indent=2))
            return
        for each in found:
            until = each["published_until"] or "for good"
            click.echo(
                f"{each['kid']}  {each['use']:8}  {each['state']:8}  "
                f"signs from {each['active_from']}, published until {until}"
            )

    @keys.command()
    @click.option(
        "--use",
        type=click.Choice([each.value for each in KeyUse]),
        default=KeyUse.OPENID.value,
        show_default=True,
        help="What the key signs.",
    )
    @click.option(
        "--at-once",
        is_flag=True,
        help="The private key is known to somebody else: the old key ends now.",
    )
    @as_json
    def rotate(use: str, *, at_once: bool, as_json: bool) -> None:
        """Replace the key that signs: publish the next one now, let it sign a day later.

        Nothing happens where the next key waits already. With --at-once the old key signs no more
        and, for tokens, leaves the published keys now: what it signed is refused, people sign in to
        applications again. Receipts that it signed can still be checked; whether one is genuine, the
        audit log tells.
        """
        runtime, signing_keys = deployment()
        with runtime.unit_of_work(SYSTEM) as uow:
            kid = signing_keys.rotate(uow, KeyUse(use), at_once=at_once)
            uow.commit()
        with runtime.snapshot() as session:
            now = runtime.clock()
            [newest] = [_told(key, now) for key in signing_keys.all(session) if key.kid == kid]
        if as_json:
            click.echo(json.dumps(newest, indent=2))
        else:
            click.echo(f"{kid} signs {use} from {newest['active_from']}")

    return keys


def _told(key: SigningKey, now: datetime) -> dict[str, Json]:
    return {
        "kid": key.kid,
        "use": key.use,
        "algorithm": key.algorithm,
        "state": _state(key, now),
        "created_at": rfc3339(key.created_at),
        "active_from": rfc3339(key.signs_from),
        "retired_at": rfc3339(key.retired_at) if key.retired_at else None,
        "published_until": rfc3339(key.published_until) if key.published_until else None,
    }


def _state(key: SigningKey, now: datetime) -> str:
    if key.active_from is not None and now < key.active_from:
        return "next"
    if key.retired_at is None or now < key.retired_at:
        return "signing"
    published = key.published_until is None or now < key.published_until
    return "resting" if published else "gone"
