"""Entries that are alike but for a few texts: encoded once, then filled in.

To make canonical JSON of a published text again for each row of a file costs more than all else that
is done for the row. The bytes are those that `AuditLog.draft` makes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from privacy.audit.encoding import HASH_BYTES, b64url
from privacy.audit.leaf import NONCE_BYTES, Leaf, encode_leaf, opening
from privacy.audit.store import NewEntry
from privacy.clock import rfc3339
from privacy.events import DEPLOYMENT, Event, Json

#: Encrypts (key, associated data, plain).
SealUnder = Callable[[bytes, bytes, bytes], bytes]

#: What begins the name of a gap: no text that anybody wrote holds it.
_MARK: Final = "\0"
_GAP: Final = re.compile(r'"\\u0000([a-z_]+)"')
_NO_HASH: Final = bytes(HASH_BYTES)
#: A text in canonical JSON. Source: RFC 8785 s. 3.2.2.2.
_QUOTED: Final = json.JSONEncoder(ensure_ascii=False).encode


def gap(name: str) -> str:
    """Return what stands for a text that differs from entry to entry, `name` in `EntryForm.draft`."""
    return f"{_MARK}{name}"


class EntryForm:
    """What a number of entries share.

    Args:
        intake_key: of the log.
        event: what happened; its texts may be gaps.
        evidence: its values may be gaps.
        at: aware; of the entries.
        actor: the name of who did it.
    """

    def __init__(
        self,
        intake_key: bytes,
        event: Event,
        evidence: Mapping[str, Json],
        *,
        at: datetime,
        actor: str,
    ) -> None:
        self._intake_key = intake_key
        self._retention = event.retention.value
        payload: dict[str, Json] = {
            "at": rfc3339(at),
            "actor": actor,
            "event": event.ids(),
            "evidence": dict(evidence),
        }
        text = opening(bytes(NONCE_BYTES), payload)[NONCE_BYTES:].decode()
        self._payload = _GAP.sub(r"%(\1)s", text.replace("%", "%%"))
        leaf = Leaf(
            type=event.tag.value,
            purpose=event.leaf_purpose,
            policy_version=event.leaf_policy_version,
            at=at,
            c=_NO_HASH,
            erased=event.leaf_erased,
        )
        self._before, self._after = encode_leaf(leaf).split(b64url(_NO_HASH).encode())

    def draft(
        self,
        entry_id: str,
        nonce: bytes,
        holder: str | None,
        texts: Mapping[str, str],
        key: bytes,
        seal_under: SealUnder,
    ) -> NewEntry:
        """Return an entry, to be written; reads and writes no database.

        Args:
            entry_id: new.
            nonce: 32 random bytes, of this entry alone.
            holder: the person concerned, or None.
            texts: what fills each gap.
            key: of the person concerned, for the event's retention class.
            seal_under: encrypts with it.
        """
        quoted = {name: _QUOTED(text) for name, text in texts.items()}
        opened = nonce + (self._payload % quoted).encode()
        c = b64url(hashlib.sha256(opened).digest()).encode()
        leaf = self._before + c + self._after
        return NewEntry(
            entry_id,
            leaf,
            intake_tag(self._intake_key, entry_id, leaf),
            holder or DEPLOYMENT,
            self._retention,
            seal_under(key, payload_place(entry_id), opened),
        )


def intake_tag(key: bytes, entry_id: str, leaf: bytes) -> bytes:
    """Return the proof that this deployment wrote the entry, not somebody with the database.

    HMAC-SHA256 over the 16-byte entry id and the leaf; 32 bytes.
    """
    return hmac.digest(key, bytes.fromhex(entry_id) + leaf, hashlib.sha256)


def payload_place(entry_id: str) -> bytes:
    """Return the associated data of an entry's sealed payload."""
    return f"audit_payload|{entry_id}|1".encode()
