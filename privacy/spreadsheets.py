"""Cells of a CSV that a spreadsheet shows and never runs. Source: OWASP, CSV Injection."""

from __future__ import annotations

from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARD: Final = "'"


def guard_cell(text: str) -> str:
    """A cell that no spreadsheet runs: an apostrophe stands before what would be a formula.

    It also stands before a text that begins with one, so that exactly one can always be taken
    away again.
    """
    return _GUARD + text if text.startswith((*_FORMULA_STARTS, _GUARD)) else text
