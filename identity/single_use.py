"""Something that may be used once: one conditional UPDATE decides who was first."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Update
from sqlalchemy.orm import Session


def changed_one(session: Session, statement: Update) -> bool:
    """Run an UPDATE that matches at most one row, and tell whether it changed it.

    Of any number of callers side by side exactly one gets True: the database locks the row, and
    whoever comes later finds the condition no longer true. Joins the caller's transaction; rows
    that the session has loaded keep their old values.
    """
    quiet = statement.execution_options(synchronize_session=False)
    result = cast("CursorResult[Any]", session.execute(quiet))
    return result.rowcount == 1
