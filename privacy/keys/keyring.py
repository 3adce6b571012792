"""Root keys and key-encryption keys (KEK), kept as files outside the database and its backups.

`kek/<epoch>.key` wraps the people's data keys. The operator destroys an epoch when no backup is
wanted any more that could hold its wrapped keys (`privacy.keys.epochs`); until then erasure is
complete in the live database only (docs/decisions/0004). The other files are roots from which purpose-bound keys are derived.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.ids import Ids
from privacy.secret_files import sync_folder, write_secret_file

KEY_BYTES = 32


class RootKey(StrEnum):
    """The root keys; each has one file and one use."""

    BLIND_INDEX = "blind-index"
    PSEUDONYM = "pseudonym"
    LOG_INTAKE = "log-intake"
    COOKIE = "cookie"


class KeyMissing(Exception):
    """A key file is not there: the deployment is broken, or the key was destroyed on purpose."""


class Keyring:
    """The key files of one deployment, below `instance/keys`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, bytes] = {}
        self._keks: dict[int, bytes] = {}
        self._derived: dict[tuple[RootKey, tuple[str, ...], int], bytes] = {}

    def create_missing(self, ids: Ids) -> bool:
        """Create the root keys and the first epoch where they are missing.

        Returns:
            True where the first key-encryption key was created now.
        """
        for root in RootKey:
            self._create(self._root_path(root), ids)
        if self.epochs():
            return False
        self.create_epoch(ids, 1)
        return True

    def root(self, root: RootKey) -> bytes:
        """Return a root key, 32 bytes."""
        return self._load(self._root_path(root))

    def derive(self, root: RootKey, *info: str, length: int = KEY_BYTES) -> bytes:
        """Derive a key bound to its use. Source: RFC 5869 (HKDF-SHA256).

        Args:
            root: where it comes from.
            info: the parts that name the use; no part may hold a vertical bar.
            length: bytes wanted.
        """
        if any("|" in part for part in info):
            raise ValueError("a part of a key's name holds the separator")
        name = (root, info, length)
        if name not in self._derived:
            context = "|".join(("placet", *info)).encode()
            self._derived[name] = HKDF(SHA256(), length, salt=None, info=context).derive(
                self.root(root)
            )
        return self._derived[name]

    def epochs(self) -> tuple[int, ...]:
        """Return the epochs whose key-encryption key still exists, oldest first."""
        return tuple(sorted(int(p.stem) for p in (self._folder / "kek").glob("*.key")))

    def current_epoch(self) -> int:
        """Return the epoch that new data keys are wrapped under."""
        epochs = self.epochs()
        if not epochs:
            raise KeyMissing("there is no key-encryption key; run `placet setup`")
        return epochs[-1]

    def kek(self, epoch: int) -> bytes:
        """Return the key-encryption key of `epoch`, 32 bytes."""
        if epoch not in self._keks:  # asked for with every value that is sealed or opened
            self._keks[epoch] = self._load(self._kek_path(epoch))
        return self._keks[epoch]

    def began(self, epoch: int) -> datetime:
        """Return when the file of `epoch` was made, aware UTC."""
        return datetime.fromtimestamp(self._kek_path(epoch).stat().st_mtime, UTC)

    def is_own(self) -> bool:
        """Tell whether the key files belong to the user we run as, who alone may read new ones."""
        return self._folder.stat().st_uid == os.geteuid()

    def create_epoch(self, ids: Ids, epoch: int) -> None:
        """Create the key-encryption key of `epoch`, which every process uses from its next key on.

        One that is there is kept.
        """
        self._create(self._kek_path(epoch), ids)

    def destroy_epoch(self, epoch: int) -> None:
        """Destroy a key-encryption key; what is still wrapped under it is lost for good.

        A process that has used it remembers it until it ends.
        """
        path = self._kek_path(epoch)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b"\0" * size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)
        self._read.pop(path, None)
        self._keks.pop(epoch, None)

    def key_files(self) -> Iterable[Path]:
        """Yield every key file there is."""
        return sorted(self._folder.rglob("*.key"))

    def _root_path(self, root: RootKey) -> Path:
        return self._folder / f"{root.value}.key"

    def _kek_path(self, epoch: int) -> Path:
        return self._folder / "kek" / f"{epoch:06d}.key"

    def _load(self, path: Path) -> bytes:
        if path not in self._read:
            try:
                key = path.read_bytes()
            except FileNotFoundError:
                raise KeyMissing(f"the key file {path.name} is missing") from None
            if len(key) != KEY_BYTES:
                raise KeyMissing(f"the key file {path.name} does not hold {KEY_BYTES} bytes")
            self._read[path] = key
        return self._read[path]

    def _create(self, path: Path, ids: Ids) -> None:
        write_secret_file(path, ids.random_bytes(KEY_BYTES))
