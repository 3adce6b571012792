"""Files that hold a secret and that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path


def write_secret_file(path: Path, content: bytes) -> bool:
    """Write `content` to a new file that its owner alone can read; keep an existing one.

    The content is complete before the name exists, so a crash leaves no half key.

    Returns:
        True where the file was written, False where there was one already.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_suffix(f".draft-{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make it durable which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
