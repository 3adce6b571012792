"""Verify consent receipts of Placet offline, with `cryptography` and the standard library alone.

    python verify_receipt.py --keys keys.json --log-key key.txt receipt.jws [receipt.jws ...]

Where the keys come from, once, over a way that you trust:

    curl https://consent.example/v1/receipts/keys > keys.json
    curl https://consent.example/v1/audit/key     > key.txt

A receipt is good if one of the keys signed it, if the entry of the audit log that it shows is of
the same kind of event, purpose, register and second, and if that entry stands in the log that the
second key signs. An entry names nobody: that it is this person's, the receipt's signature says.
A file may be the signed receipt (.jws) or the JSON-LD document that holds it (.jsonld); of that the
signed receipt alone is looked at, and what is printed is what is signed.

Sources: RFC 7515, RFC 8037 (signature); RFC 9162 s. 2.1.3 (inclusion); C2SP tlog-proof,
tlog-checkpoint and signed-note (proof, checkpoint).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

STATES = {
    "requested": "dpv:ConsentRequested",
    "given": "dpv:ConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "renewed": "dpv:RenewedConsentGiven",
    "expired": "dpv:ConsentExpired",
    "revoked": "dpv:ConsentRevoked",
    "invalidated": "dpv:ConsentInvalidated",
}
HASH_BYTES = 32
MAX_HASHES = 64


class Wrong(Exception):
    """The receipt is not good; the words say why."""


def check(holds: object, otherwise: str) -> None:
    """Go on if it holds.

    Raises:
        Wrong: it does not.
    """
    if not holds:
        raise Wrong(otherwise)


def decode(text: str, *, url: bool) -> bytes:
    """Return the bytes of base64 that has exactly one form.

    Raises:
        Wrong: it is none, or not the one form.
    """
    padded = text + "=" * (-len(text) % 4) if url else text
    try:
        data = base64.b64decode(padded, b"-_" if url else b"+/", validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("something is not base64") from None
    again = base64.urlsafe_b64encode(data).rstrip(b"=") if url else base64.b64encode(data)
    check(again == text.encode(), "something is not base64 in its one form")
    return data


def verify_signature(key: bytes, signature: bytes, message: bytes, otherwise: str) -> None:
    """Go on if the key signed the message.

    Raises:
        Wrong: it did not.
    """
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Wrong(otherwise) from None


def open_jws(token: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return what a signed receipt claims. Source: RFC 7515 s. 5.2.

    Raises:
        Wrong: none of the keys signed it.
    """
    parts = token.strip().split(".")
    check(len(parts) == 3, "this is no signed receipt")
    header = json.loads(decode(parts[0], url=True))
    check(header.get("alg") == "Ed25519", "signed by another method")
    check("crit" not in header, "signed in a way that this program does not know")
    check(header.get("typ") == "consent-receipt+jwt", "signed as something else than a receipt")
    known = [k for k in keys["keys"] if k["kid"] == header.get("kid") and k["crv"] == "Ed25519"]
    check(len(known) == 1, "signed by a key that is not among those you gave")
    verify_signature(
        decode(known[0]["x"], url=True),
        decode(parts[2], url=True),
        f"{parts[0]}.{parts[1]}".encode(),
        "the signature does not fit: somebody changed the receipt",
    )
    claims: dict[str, Any] = json.loads(decode(parts[1], url=True))
    return claims


def check_leaf(claims: dict[str, Any]) -> None:
    """Go on if the log's entry is that of the event which the receipt tells.

    Raises:
        Wrong: it is another.
    """
    [event] = claims["events"]
    [processing] = claims["processing"]
    leaf = json.loads(claims["log"]["leaf"])
    check(STATES.get(event["action"]) == event["event_state"], "state and action differ")
    check(
        leaf["type"] == f"consent:consent:{event['action']}",
        "the log's entry is of another kind of event",
    )
    check(leaf["purpose"] == processing["purpose"], "the log's entry is of another purpose")
    check(
        leaf["policy_version"] == claims["register_revision"],
        "the log's entry is of another revision of the register",
    )
    recorded = datetime.fromisoformat(event["recorded_time"]).astimezone(UTC)
    whole = recorded.replace(microsecond=0, tzinfo=None).isoformat()
    check(leaf["at"] == f"{whole}Z", "the log's entry is of another time")
    check(claims["jti"] == claims["receipt_id"], "the receipt has two ids")
    check(claims["record_id"].replace("-", "") == claims["receipt_id"], "the record has another id")


def open_checkpoint(note: str, vkey: str) -> tuple[int, bytes]:
    """Return size and root of the tree that a checkpoint signs. Source: C2SP signed-note.

    Raises:
        Wrong: the log's key did not sign it.
    """
    name, key_id, encoded = vkey.strip().split("+", 2)
    typed = decode(encoded, url=False)
    check(typed[:1] == b"\x01" and len(typed) == 1 + HASH_BYTES, "the log's key is of another kind")
    expected = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    check(expected.hex() == key_id, "the log's key is not the one its id names")
    text, separator, block = note.rpartition("\n\n")
    check(separator and block.endswith("\n"), "the checkpoint is cut off")
    text += "\n"
    signed = False
    for line in block[:-1].split("\n"):
        signer, _, signature = line.removeprefix("\u2014 ").partition(" ")
        raw = decode(signature, url=False)
        if line.startswith("\u2014 ") and signer == name and raw[:4] == expected:
            verify_signature(typed[1:], raw[4:], text.encode(), "the checkpoint was changed")
            signed = True
    check(signed, "the log's key did not sign the checkpoint")
    origin, size, root, *_more = text.split("\n")
    check(origin == name, "the checkpoint is another log's")
    check(
        size.isascii() and size.isdigit() and str(int(size)) == size, "the checkpoint has no size"
    )
    return int(size), decode(root, url=False)


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that the proof leads to. Source: RFC 9162 s. 2.1.3.2.

    Raises:
        Wrong: the path has another length than the place demands.
    """
    check(0 <= index < size, "the place is not in the tree")
    found, place, last = hashlib.sha256(b"\x00" + leaf).digest(), index, size - 1
    for node in path:
        check(last > 0, "the proof is too long")
        if place % 2 or place == last:
            found = hashlib.sha256(b"\x01" + node + found).digest()
            while place and not place % 2:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + node).digest()
        place, last = place >> 1, last >> 1
    check(last == 0, "the proof is too short")
    return found


def check_inclusion(log: dict[str, Any], vkey: str) -> int:
    """Return the size of the signed tree in which the entry stands. Source: C2SP tlog-proof.

    Raises:
        Wrong: it does not stand there.
    """
    check(
        log["status"] == "logged" and log["proof"],
        "issued before the log held the event: take a new copy of the receipt",
    )
    head, separator, checkpoint = log["proof"].partition("\n\n")
    magic, place, *hashes = head.split("\n")
    check(separator and magic == "c2sp.org/tlog-proof@v1", "the proof is of another form")
    check(place == f"index {log['index']}", "the proof is of another place")
    check(len(hashes) <= MAX_HASHES, "the proof is too long")
    path = [decode(node, url=False) for node in hashes]
    check(all(len(node) == HASH_BYTES for node in path), "the proof is of another form")
    size, root = open_checkpoint(checkpoint, vkey)
    found = root_of(log["leaf"].encode(), log["index"], size, path)
    check(found == root, "the entry does not stand in the log")
    return size


def verify(data: bytes, keys: dict[str, Any], vkey: str) -> tuple[dict[str, Any], int]:
    """Return what a receipt claims and the size of the log's tree, if everything holds.

    Raises:
        Wrong: something does not.
    """
    try:
        text = data.decode()
        if text.lstrip().startswith("{"):
            text = json.loads(text)["placet:signedReceipt"]
        claims = open_jws(text, keys)
        check_leaf(claims)
        return claims, check_inclusion(claims["log"], vkey)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Wrong(f"this is no receipt ({type(error).__name__}: {error})") from None


def describe(claims: dict[str, Any], size: int) -> list[str]:
    """Return, line by line, what was agreed."""
    [event], [processing], [controller] = (
        claims[name] for name in ("events", "processing", "parties")
    )
    issued = datetime.fromtimestamp(claims["iat"], UTC).isoformat()
    told = processing["recipient_third_parties"]
    names = (
        told if isinstance(told, str) else ", ".join(f"{r['name']} ({r['country']})" for r in told)
    )
    rows = [
        ("receipt", f"{claims['receipt_id']}, issued {issued} by {claims['iss']}"),
        ("what", f"consent {event['action']} ({event['event_type']}), said by {event['said_by']}"),
        ("purpose", f"{processing['purpose']}: {processing['title']}"),
        ("when", event["event_time"]),
        ("until", event["valid_until"] or "the next event on this purpose"),
        ("how", event["channel"]),
        ("data", ", ".join(processing["pii_type"])),
        ("controller", f"{controller['name']}, {controller['address']}, {controller['contact']}"),
        ("recipients", names or "nobody else"),
        ("notice", "{id} version {version} ({language})".format(**claims["notice"])),
        ("log", f"entry {claims['log']['index']} of {size}, signed by the log's key"),
    ]
    width = max(len(name) for name, _ in rows)
    words = [f"  | {line}" for line in claims["notice"]["text"].splitlines()]
    return [*(f"  {name:<{width}}  {value}" for name, value in rows), "  the words shown:", *words]


def main(arguments: list[str], say: Callable[[str], object]) -> int:
    """Verify each file; return 0 if all are good, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("receipts", nargs="+", type=Path, metavar="RECEIPT")
    parser.add_argument("--keys", type=Path, required=True, help="JWK set of /v1/receipts/keys")
    parser.add_argument("--log-key", type=Path, required=True, help="line of /v1/audit/key")
    given = parser.parse_args(arguments)
    keys, vkey = json.loads(given.keys.read_text()), given.log_key.read_text()
    bad = 0
    for path in given.receipts:
        try:
            claims, size = verify(path.read_bytes(), keys, vkey)
        except Wrong as wrong:
            say(f"{path}: NOT GOOD: {wrong}")
            bad += 1
        else:
            say("\n".join([f"{path}: good", *describe(claims, size)]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], print))
