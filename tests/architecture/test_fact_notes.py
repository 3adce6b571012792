"""Whoever changes what decisions read of a person notes it in the journal of facts."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("privacy/subjects", "privacy/consent", "privacy/pseudonyms", "identity")
#: Columns of `subject`, and of what proves an address: `privacy/subjects/store.py`.
READ_BY_DECISIONS = {
    "restricted_at",
    "leaving_at",
    "blocked_at",
    "deceased_at",
    "minor_until",
    "erased_at",
    "merged_into",
    "verified_at",
}


def changes_without_a_note(source: str) -> Iterator[str]:
    """Yield the name of each function that changes such a column, or an objection, silently."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        nodes = list(ast.walk(function))
        assigned = {
            target.attr
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Attribute)
        }
        called = [node.func for node in nodes if isinstance(node, ast.Call)]
        names = {
            each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "")
            for each in called
        }
        if (assigned & READ_BY_DECISIONS or "ObjectionRow" in names) and not names & {
            "note",
            "note_inherited",
        }:
            yield function.name


def test_every_writer_notes_what_it_changes() -> None:
    silent = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in changes_without_a_note(path.read_text(encoding="utf-8"))
    }
    assert silent == set()


def test_a_silent_writer_is_found() -> None:
    assert list(changes_without_a_note("def f(row):\n    row.restricted_at = 1\n")) == ["f"]
    noted = "def f(row):\n    row.restricted_at = 1\n    note(row)\n"
    assert list(changes_without_a_note(noted)) == []
