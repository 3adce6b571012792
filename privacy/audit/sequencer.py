"""Giving entries their place and signing the tree; the worker alone does it.

One transaction places a batch, writes the tiles and keeps the signed checkpoint, so no reader
ever sees a place without the checkpoint that covers it, and a crash leaves nothing half done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.actor import SYSTEM
from privacy.audit import store, tiles
from privacy.audit.checkpoint import Checkpoint, open_checkpoint
from privacy.audit.log import AuditLog
from privacy.audit.merkle import leaf_hash
from privacy.audit.note import Signer, Verifier
from privacy.ids import Ids
from privacy.secret_files import write_secret_file
from privacy.unit_of_work import Runtime

BATCH = 2_000
#: PostgreSQL advisory lock: one sequencer at a time, whatever the number of workers.
SEQUENCER_LOCK = 0x706C_6163_6574


class LogTampered(Exception):
    """The stored log does not fit what was signed or written; nothing is signed on top of it."""


def create_log_key(folder: Path, origin: str, ids: Ids) -> str:
    """Return the log's verification key, creating the signing key where there is none.

    Args:
        folder: `instance/keys`; gets `log-signing.key` (32-byte seed) and `log.vkey`.
        origin: the log's name for ever, such as `privacy.example.com/audit`.
        ids: randomness.
    """
    write_secret_file(folder / "log-signing.key", ids.random_bytes(32))
    write_secret_file(folder / "log-origin", origin.encode())
    signer = read_signer(folder)
    (folder / "log.vkey").write_text(signer.vkey + "\n")
    return signer.vkey


def read_signer(folder: Path) -> Signer:
    """Return the log's signer; only the worker's operating-system user may read its file."""
    seed = (folder / "log-signing.key").read_bytes()
    origin = (folder / "log-origin").read_text()
    return Signer(origin, Ed25519PrivateKey.from_private_bytes(seed))


def read_verifier(folder: Path) -> Verifier:
    """Return the log's verification key."""
    return Verifier.from_vkey((folder / "log.vkey").read_text().strip())


def keep_in(path: Path) -> Callable[[str], None]:
    """Return what keeps the newest checkpoint in a file, outside the database and its backups."""

    def keep(note: str) -> None:
        # A draft of one's own: for a moment there may be two workers.
        draft = path.with_suffix(f".draft-{os.getpid()}-{threading.get_ident()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())  # or a power cut leaves an empty file, which looks like fraud
        draft.replace(path)

    return keep


class Sequencer:
    """Places pending entries and signs checkpoints."""

    def __init__(
        self,
        runtime: Runtime,
        log: AuditLog,
        signer: Signer,
        keep: Callable[[str], None] = lambda _note: None,
    ) -> None:
        """Wire a sequencer.

        Args:
            runtime: the writing door.
            log: knows our own entries.
            signer: the log's key.
            keep: told each signed checkpoint after the commit, to keep it outside the database.
        """
        self._keep = keep
        self._runtime = runtime
        self._log = log
        self._signer = signer
        self._verifier = Verifier.from_vkey(signer.vkey)

    def run_due(self) -> int:
        """As `run_once`; return 1 where a full batch was placed and more may wait, else 0.

        So the worker pauses under load too, and entries gather meanwhile: one transaction, one
        signature and one flush serve many of them, rather than competing with each writer.
        """
        return self.run_once() // BATCH

    def run_once(self, limit: int = BATCH) -> int:
        """Place up to `limit` entries, sign the new tree, and return how many were placed.

        Raises:
            LogTampered: an entry was not written by this deployment, or the stored tree is not
                the one that was signed last.
        """
        with self._runtime.snapshot() as session:
            if store.pending_count(session) == 0:
                return 0
        with self._runtime.unit_of_work(SYSTEM) as uow:
            if not self._runtime.database.is_sqlite:
                uow.session.execute(sa.select(sa.func.pg_advisory_xact_lock(SEQUENCER_LOCK)))
            waiting = store.pending(uow.session, limit)
            if not waiting:
                return 0
            for _ordinal, entry_id, leaf, tag in waiting:
                if not self._log.is_ours(entry_id, leaf, tag):
                    raise LogTampered(f"entry {entry_id} was not written by this deployment")

            def read(level: int, index: int) -> bytes:
                return store.read_tile(uow.session, level, index)

            size = self._signed_size(store.latest_checkpoint(uow.session), read)
            hashes = [leaf_hash(leaf) for _ordinal, _entry_id, leaf, _tag in waiting]
            store.write_tiles(uow.session, tiles.append(size, hashes, read))
            store.place_entries(uow.session, size, [(o, e) for o, e, _leaf, _tag in waiting])
            self._runtime.faults.reach("sequencer:indexed")
            size += len(waiting)
            root = tiles.TileTree(size, read).root()
            note = self._signer.sign(Checkpoint(self._verifier.name, size, root).encode())
            self._runtime.faults.reach("signer:signed")
            uow.session.add(store.SignedCheckpoint(tree_size=size, note=note, signed_at=uow.now))
            uow.commit()
        self._keep(note)
        return len(waiting)

    def _signed_size(self, latest: store.SignedCheckpoint | None, read: tiles.TileReader) -> int:
        """Return the size signed last, having compared the stored tree with it."""
        if latest is None:
            return 0
        signed = open_checkpoint(latest.note, [self._verifier], self._verifier.name)
        if tiles.TileTree(signed.size, read).root() != signed.root:
            raise LogTampered("the stored tree is not the one that was signed")
        return signed.size
