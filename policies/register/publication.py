"""Puts the drafts among a register's notices in force, by writing the lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from policies.register import lock
from policies.register.linter import lint
from policies.register.loader import load
from policies.register.lock import LOCK_FILE
from policies.register.model import NoticeRevision
from policies.register.notices import NOTICES_FOLDER
from policies.register.problems import Problem, RegisterError

_TEMPORARY_FILE = f".{LOCK_FILE}.new"


def publish(path: Path, today: date) -> tuple[NoticeRevision, ...]:
    """Publish every draft and return them as published; () where there is nothing new.

    Whole or not at all: the lock is replaced in one step, and two publications at once exclude
    each other.

    Args:
        path: the register's folder.
        today: the date in the controller's time zone.

    Raises:
        RegisterError: the register cannot be loaded (a published text has changed or is gone, a
            version is left out); or its linter finds errors; or `today` lies before what is
            already published; or the lock cannot be written.

    Source: GDPR Art. 7(1), 7(2).
    """
    before = _read(path)
    register = load(path)
    errors = [each for each in lint(register) if each.level == "error"]
    if errors:
        raise RegisterError(
            [Problem(e.file, e.entry, e.field, f"{e.message} ({e.article})") for e in errors]
        )
    revisions = [each for notice in register.notices.values() for each in notice.revisions]
    drafts = [replace(each, published=today) for each in revisions if each.published is None]
    if not drafts:
        return ()
    published = [each for each in revisions if each.published]
    _refuse_earlier_day(published, drafts, today)
    seals = [lock.seal(each, each.published) for each in (*published, *drafts) if each.published]
    _replace(path, before, lock.render(seals).encode())
    return tuple(drafts)


def _refuse_earlier_day(
    published: Sequence[NoticeRevision], drafts: Sequence[NoticeRevision], today: date
) -> None:
    latest = {each.notice: each.published for each in published if each.published}
    problems = [
        Problem(
            f"{NOTICES_FOLDER}/{each.notice}/{each.version}",
            "",
            "",
            f"cannot be published on {today.isoformat()}, before the version it follows",
        )
        for each in drafts
        if latest.get(each.notice, today) > today
    ]
    if problems:
        raise RegisterError(problems)


def _read(path: Path) -> bytes | None:
    try:
        return (path / LOCK_FILE).read_bytes()
    except (OSError, ValueError):
        return None  # not there yet; what cannot be read is told by the loader


def _replace(path: Path, before: bytes | None, after: bytes) -> None:
    """Write the lock in one step, unless another publication was faster."""
    temporary = path / _TEMPORARY_FILE
    try:
        file = temporary.open("xb")
    except FileExistsError:
        message = "another publication is running; if none is, one was cut off: remove this file"
        raise RegisterError([Problem(_TEMPORARY_FILE, "", "", message)]) from None
    except OSError as error:
        raise _unwritable(error) from error
    try:
        with file:
            _refuse_change(path, before)
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path / LOCK_FILE)
        _sync_folder(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(error) from error
        raise


def _refuse_change(path: Path, before: bytes | None) -> None:
    if _read(path) != before:
        message = "has changed meanwhile; publish again"
        raise RegisterError([Problem(LOCK_FILE, "", "", message)])


def _sync_folder(path: Path) -> None:
    """Make a rename last through a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritable(error: OSError) -> RegisterError:
    return RegisterError([Problem(LOCK_FILE, "", "", f"cannot be written: {error.strerror}")])
