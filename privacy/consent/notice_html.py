"""A notice as HTML: Markdown without raw HTML, pictures or unsafe addresses."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from policies.register.model import NoticeRevision

DEEPEST = 6


def _link_open(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, env)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).disable("image")
    parser.add_render_rule("link_open", _link_open)
    return parser


_PARSER = _parser()


def notice_title(revision: NoticeRevision, language: str) -> str:
    """The notice's own heading; its id where it has none."""
    first = revision.texts[language].lstrip().split("\n", 1)[0]
    return first.lstrip("#").strip() if first.startswith("#") else revision.notice


def render_notice(text: str, *, below: int) -> Markup:
    """The notice's HTML, its headings below level `below` of the page around it.

    Raw HTML in the text shows as text; an address that is not http, https or mailto is no link.
    """
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(DEEPEST, int(token.tag[1]) + below)}"
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return Markup(html)  # noqa: S704 - made by the renderer, which escapes every text
