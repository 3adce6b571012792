from __future__ import annotations

from pathlib import Path

import pytest

from policies.vocabulary import DecisionReason

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reasons"


@pytest.mark.parametrize("reason", DecisionReason)
def test_every_reason_of_a_decision_has_its_page(reason: DecisionReason) -> None:
    lines = (PAGES / f"{reason.value}.md").read_text(encoding="utf-8").splitlines()

    assert lines[0] == f"# {reason.value}"
    said = [line for line in lines if line]
    assert 5 <= len(said) <= 12
    assert any(line.startswith("**Article:** ") for line in said)
    assert any(line.startswith("**What the caller can do:** ") for line in said)


def test_every_page_belongs_to_a_reason() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {reason.value for reason in DecisionReason}
