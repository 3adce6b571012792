"""Fields for passwords, as every page writes them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIELD = re.compile(r'\{\{ field\("(password|current)",.*?\) \}\}', re.DOTALL)
TOKENS = {"current-password", "new-password"}


def _fields() -> list[tuple[str, str]]:
    pages = sorted((ROOT / "templates").rglob("*.html"))
    return [
        (str(page.relative_to(ROOT)), found[0])
        for page in pages
        for found in FIELD.finditer(page.read_text(encoding="utf-8"))
    ]


def test_password_fields_hide_what_is_typed_and_tell_password_managers_which_it_is() -> None:
    fields = _fields()
    assert len(fields) >= 8
    for page, text in fields:
        assert 'type="password"' in text, page
        said = re.search(r'autocomplete="([^"]+)"', text)
        assert said, page
        assert said[1] in TOKENS, page


def test_nothing_on_our_pages_looks_at_what_is_pasted() -> None:
    for script in sorted((ROOT / "static").glob("*.js")):
        assert "paste" not in script.read_text(encoding="utf-8"), script.name
