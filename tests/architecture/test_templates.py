"""Templates keep to what the content security policy allows, and to the rules of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
PAGES = sorted(path for path in TEMPLATES.rglob("*.html") if path.parent.name != "mail")
MAILS = sorted((TEMPLATES / "mail").glob("*.html"))
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), extensions=["jinja2.ext.i18n"], autoescape=True
)

INLINE = {
    "a style attribute": re.compile(r"\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "a script without src": re.compile(r"<script\b(?![^>]*\ssrc=)", re.IGNORECASE),
    "an event handler": re.compile(r"""\son[a-z]+\s*=\s*["']""", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "something from elsewhere": re.compile(
        r"""(?:src|action)\s*=\s*["'](?:https?:)?//""", re.IGNORECASE
    ),
}
ENVIRONMENT.install_null_translations(newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
ENVIRONMENT.filters |= dict.fromkeys(("dateformat", "datetimeformat", "timeformat"), str)
ENVIRONMENT.globals["csrf_token"] = lambda: "token"


def rendered(call: str, **context: object) -> str:
    """One component as HTML, called as a page would call it."""
    page = '{% import "components.html" as c %}{{ c.' + call + " }}"
    return ENVIRONMENT.from_string(page).render(**context)


def name(path: Path) -> str:
    return path.relative_to(TEMPLATES).as_posix()


def without_jinja(source: str) -> str:
    """The HTML that remains when statements, expressions and comments are taken out."""
    return re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)


def faults(source: str) -> list[str]:
    html = without_jinja(source)
    found = [what for what, pattern in INLINE.items() if pattern.search(html)]
    attributes = re.findall(r"""["'](style|on[a-z]+)["']\s*:""", source)  # given to xmlattr
    return found + [f"{attribute} through xmlattr" for attribute in attributes]


@pytest.mark.parametrize(
    "source",
    [
        '<p style="color:red">x</p>',
        "<style>p{}</style>",
        "<script>x()</script>",
        '<a onclick="x()">x</a>',
        '<a href="javascript:x()">x</a>',
        '<script src="//cdn.example/x.js"></script>',
        '{{ button("x", attrs={"onclick": "x()"}) }}',
    ],
)
def test_what_the_policy_forbids_is_found(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_has_no_inline_style_script_or_handler(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_form_that_changes_something_carries_its_token(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    forms = re.findall(
        r"""<form\b[^>]*method=["']post["'].*?</form>""", source, re.DOTALL | re.IGNORECASE
    )
    assert [form for form in forms if "csrf" not in form] == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.*")), ids=name)
def test_a_template_compiles(path: Path) -> None:
    assert ENVIRONMENT.get_template(name(path))


def test_every_component_says_what_it_is_for() -> None:
    source = (TEMPLATES / "components.html").read_text(encoding="utf-8")
    comments = " ".join(re.findall(r"\{#(.*?)#\}", source, re.DOTALL))
    macros = [macro.name for macro in ENVIRONMENT.parse(source).find_all(nodes.Macro)]
    public = [macro for macro in macros if not macro.startswith("_")]
    assert len(public) > 20
    assert [macro for macro in public if f"{macro}(" not in comments] == []


def test_nothing_is_chosen_before_the_person_chooses() -> None:
    html = rendered('radios("right", "¿Qué?", [("a", "A"), ("b", "B", "pista")])')
    assert html.count('type="radio"') == 2
    assert "checked" not in html
    assert "checked" not in rendered('checkbox("keep", "Recordar")')


def test_accept_and_refuse_differ_in_nothing_but_their_words() -> None:
    html = rendered('choice("newsletter", "Boletín")')
    buttons = re.findall(r"<button.*?</button>", html, re.DOTALL)
    assert len(buttons) == 2
    accept, refuse = buttons
    assert accept.replace("grant", "refuse").replace("Aceptar", "Rechazar") == refuse


@pytest.mark.parametrize(
    ("state", "can_grant", "can_withdraw", "actions"),
    [
        ("none", True, False, ["grant", "refuse"]),
        ("given", False, True, ["withdraw"]),
        ("refused", True, False, ["grant"]),
        ("withdrawn", True, False, ["grant"]),
        ("expired", True, False, ["grant"]),
        ("basis", False, True, ["object"]),
        ("objected", True, False, ["lift-objection"]),
        ("basis", False, False, []),
    ],
)
def test_a_consent_card_offers_what_its_state_allows(
    state: str, can_grant: bool, can_withdraw: bool, actions: list[str]
) -> None:
    card = {
        "purpose_id": "newsletter",
        "title": "<b>Boletín</b>",
        "state": state,
        "categories": [],
        "recipients": [],
        "notice_version": 3,
        "can_grant": can_grant,
        "can_withdraw": can_withdraw,
    }
    html = rendered("consent_card(card)", card=card)
    assert re.findall(r'name="action" value="([^"]+)"', html) == actions
    assert html.count('name="purpose" value="newsletter"') == bool(actions)
    assert html.count('name="notice_version" value="3"') == bool(actions)
    assert html.count("<form") == bool(actions)
    assert "<b>Boletín</b>" not in html


def test_a_field_in_error_is_tied_to_its_message() -> None:
    html = rendered('field("email", "Correo", hint="h", error="Falta", value="a\\"b")')
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="email-hint email-error"' in html
    assert 'id="email-error"' in html
    assert 'value="a&#34;b"' in html
    assert 'href="#email"' in rendered('error_summary([("email", "Falta")])')


def test_a_password_is_never_written_back() -> None:
    assert "hunter2" not in rendered('field("p", "Clave", type="password", value="hunter2")')


@pytest.mark.parametrize("path", MAILS, ids=name)
def test_a_mail_fetches_nothing(path: Path) -> None:
    html = without_jinja(path.read_text(encoding="utf-8"))
    assert re.findall(r"<(?:img|link|script|iframe|video|audio)\b|url\(", html, re.IGNORECASE) == []


@pytest.mark.parametrize("path", MAILS, ids=name)
def test_a_mail_has_its_plain_text(path: Path) -> None:
    assert path.with_suffix(".txt").is_file()
