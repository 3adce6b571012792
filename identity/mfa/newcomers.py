"""A newcomer's verified passkey, between the ceremony and the proof of the address."""

from __future__ import annotations

import base64
import json

from identity.mfa.relying_party import NewCredential


def packed(made: NewCredential, handle: bytes, name: str) -> bytes:
    """Return a verified passkey as it waits for the address to be proven, JSON."""

    def text(value: bytes) -> str:
        return base64.b64encode(value).decode()

    return json.dumps(
        {
            "credential_id": text(made.credential_id),
            "public_key": text(made.public_key),
            "sign_count": made.sign_count,
            "aaguid": made.aaguid,
            "transports": made.transports,
            "backup_eligible": made.backup_eligible,
            "backed_up": made.backed_up,
            "handle": text(handle),
            "name": name,
        }
    ).encode()


def unpacked(kept: bytes) -> tuple[NewCredential, bytes, str]:
    """Return passkey, handle and name as `packed` got them."""
    held = json.loads(kept)
    made = NewCredential(
        credential_id=base64.b64decode(held["credential_id"]),
        public_key=base64.b64decode(held["public_key"]),
        sign_count=held["sign_count"],
        aaguid=held["aaguid"],
        transports=tuple(held["transports"]),
        backup_eligible=held["backup_eligible"],
        backed_up=held["backed_up"],
    )
    return made, base64.b64decode(held["handle"]), held["name"]
