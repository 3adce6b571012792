from html.parser import HTMLParser

import pytest

from privacy.consent.notice_html import render_notice


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_notice_keeps_its_emphasis_and_its_headings_go_below_the_pages() -> None:
    html = render_notice("# Carta\n\n**Qué** hacemos.\n\n###### Fin", below=3)
    assert html == "<h4>Carta</h4>\n<p><strong>Qué</strong> hacemos.</p>\n<h6>Fin</h6>\n"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://tracker.example/p.gif)",
        "<https://a.example/><svg onload=alert(1)>",
        "[x](https://a.example \"' onclick='alert(1)\")",
    ],
)
def test_nothing_in_a_notice_runs_or_fetches(text: str) -> None:
    page = Tags()
    page.feed(render_notice(text, below=3))
    assert {tag for tag, _attributes in page.found} <= {"p", "a"}
    for _tag, attributes in page.found:
        assert set(attributes) <= {"href", "title", "rel"}
        assert not (attributes.get("href") or "").startswith(("javascript:", "data:"))


def test_a_link_gives_nothing_away() -> None:
    html = render_notice("[AEPD](https://www.aepd.es)", below=3)
    assert 'href="https://www.aepd.es"' in html
    assert 'rel="noopener noreferrer"' in html
