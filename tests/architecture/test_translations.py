"""Every word that people read is in the catalogue, and the catalogue is whole."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from gettext import GNUTranslations
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
CATALOGUE = ROOT / "translations" / "en" / "LC_MESSAGES" / "messages.po"

KEYWORDS = DEFAULT_KEYWORDS | {"lazy_gettext": None}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
SPANISH = re.compile(r"[áéíóúñÁÉÍÓÚÑ¿¡«»]")
WORD = re.compile(r"[^\W\d_]")
#: A literal that people would read: it begins like a sentence, or it is several words.
PROSE = re.compile(r"^[A-ZÁÉÍÓÚÑ¿¡][a-záéíóúñ]|[^\W\d_] [^\W\d_]")
TRANSLATING = {"_", "gettext", "ngettext", "lazy_gettext"}

JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
#: Of a tag that a component puts together from pieces.
ATTRIBUTE = re.compile(r'[\w-]+="[^"]*"|\brequired\s*$')
PAGE_CLASS = re.compile(r"\{% block page_class %\}.*?\{% endblock %\}")

#: Words for which docs/interface.md has another, and what shouts.
AVOIDED = re.compile(r"[!¡]|segundo paso|doble factor|permiso|token|login|log in", re.IGNORECASE)
#: Where administrators set applications up: they read the words of OAuth, each with its hint.
OF_OAUTH = re.compile(r"templates/admin/application\w*\.html|identity/provider/client_\w+\.py")
TU = re.compile(r"\b(?:tú|tu|tus|te|ti|contigo|quieres|puedes)\b", re.IGNORECASE)

#: Names, keys and abbreviations that are the same in every language.
SAME_EVERYWHERE = {"Placet", "username webauthn", "aepd.es", "j", "k", "Español", "English", "API"}
#: What is typed at a command line.
COMMANDS = {
    "verify_receipt.py",
    "python verify_receipt.py --keys keys.json --log-key key.txt placet-",
}
#: For developers, in English alone.
FOR_DEVELOPERS = "docs"
#: Spanish that is data: passwords that everybody tries, the name of an authority, of a column.
SPANISH_DATA = {"privacy/rights/access.py", "privacy/consent/exclusion_files.py"}


@cache
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as source:
        return read_po(source, abort_invalid=True)


@cache
def extracted() -> Mapping[str | tuple[str, ...], list[str]]:
    """Every message id of the templates and of the code, and the files where it stands."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as source:
        methods, options = parse_mapping_cfg(source)  # type: ignore[no-untyped-call]  # Babel's own
    found: dict[str | tuple[str, ...], list[str]] = {}
    for path, _, message, _, _ in extract_from_dir(ROOT, methods, options, KEYWORDS):
        found.setdefault(message, []).append(path)
    return found


def strings(value: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def faults(message: Message) -> list[str]:
    """What is wrong with one entry of the catalogue."""
    asked = {name for each in strings(message.id) for name in PLACEHOLDER.findall(each)}
    given = strings(message.string)
    found = []
    if message.fuzzy:
        found.append("fuzzy")
    if not all(each.strip() for each in given):
        found.append("not translated")
    if len(given) != (2 if message.pluralizable else 1):
        found.append("wrong number of plural forms")
    for each in given:
        if set(PLACEHOLDER.findall(each)) != asked:
            found.append(f"its placeholders are not {sorted(asked)}")
        if "%" in PLACEHOLDER.sub("", each).replace("%%", ""):
            found.append("a per cent sign that is not written %%")
    return found


def test_every_message_has_its_english() -> None:
    known = {message.id for message in catalogue() if message.id}
    missing = {message: where for message, where in extracted().items() if message not in known}
    assert missing == {}, f"write these into {CATALOGUE.relative_to(ROOT)}"


def test_the_catalogue_has_nothing_that_is_no_longer_said() -> None:
    said = set(extracted())
    assert [message.id for message in catalogue() if message.id and message.id not in said] == []
    assert list(catalogue().obsolete) == []


def test_every_entry_is_whole() -> None:
    wrong = {message.id: faults(message) for message in catalogue() if message.id}
    assert {message: why for message, why in wrong.items() if why} == {}


@pytest.mark.parametrize(
    "entry",
    [
        Message("Hola", ""),
        Message("Hola", "Hello", flags=["fuzzy"]),
        Message("Hola, %(name)s", "Hello"),
        Message("Hola", "Hello, %(name)s"),
        Message("Hola", "Hello, 100 % sure"),
        Message(("%(num)s día", "%(num)s días"), ("%(num)s day", "")),
        Message(("%(num)s día", "%(num)s días"), ("%(num)s day",)),
    ],
    ids=["empty", "fuzzy", "lost", "invented", "per cent", "no plural", "one form"],
)
def test_a_wrong_entry_is_found(entry: Message) -> None:
    assert faults(entry)


def test_the_words_are_those_of_the_glossary() -> None:
    english = {message.id: strings(message.string) for message in catalogue() if message.id}
    found = [
        text
        for message, where in extracted().items()
        for text in (*strings(message), *english.get(message, ()))
        if AVOIDED.search(_without_token(text) if all(map(OF_OAUTH.fullmatch, where)) else text)
    ]
    assert found == []


def _without_token(text: str) -> str:
    return re.sub(r"\btokens?\b", "", text, flags=re.IGNORECASE)


def test_the_desk_addresses_nobody_as_a_friend() -> None:
    desk = {
        path.relative_to(ROOT).as_posix()
        for path in TEMPLATES.rglob("*.html")
        if '{% extends "desk.html" %}' in path.read_text(encoding="utf-8")
    }
    said = {text: where for m, where in extracted().items() for text in strings(m)}
    assert {text for text, where in said.items() if desk & set(where) and TU.search(text)} == set()
    assert desk


def test_the_catalogue_names_no_person_and_no_place() -> None:
    text = CATALOGUE.read_text(encoding="utf-8")
    headers = text.split("\n\n", 1)[0]
    assert re.findall(r"@|Date|Translator|Generated", headers) == []
    assert [line for line in text.splitlines() if line.startswith(("#:", "#~", "#|"))] == []


def test_the_pages_read_the_catalogue_as_it_is() -> None:
    compiled = CATALOGUE.with_suffix(".mo")
    assert compiled.is_file(), "`make setup` compiles it"
    with compiled.open("rb") as source:
        words = GNUTranslations(source)
    stale = [
        message.id
        for message in catalogue()
        if message.id and words.gettext(strings(message.id)[0]) != strings(message.string)[0]
    ]
    assert stale == [], "`make setup` compiles it"


class Reader(HTMLParser):
    """Collects what a person would see or hear of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(ATTRIBUTE.sub("", data).strip())

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        heard = {"aria-label", "title", "alt", "placeholder"}
        self.words += [(value or "").strip() for name, value in attrs if name in heard]


def untranslated(source: str) -> list[str]:
    """The words of a template that do not go through a catalogue."""
    source = PAGE_CLASS.sub("", source)
    reader = Reader()
    reader.feed(JINJA.sub("", source))
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    literals = [each for each in _literals(environment.parse(source)) if PROSE.search(each)]
    words = [each for each in reader.words if WORD.search(each)]
    return [each for each in (*words, *literals) if each not in SAME_EVERYWHERE | COMMANDS]


def _literals(node: nodes.Node) -> Iterator[str]:
    for child in node.iter_child_nodes():
        if (
            isinstance(child, nodes.Call)
            and isinstance(child.node, nodes.Name)
            and child.node.name in TRANSLATING
        ):
            continue
        if isinstance(child, nodes.Const) and isinstance(child.value, str):
            yield child.value
        yield from _literals(child)


TRANSLATED = [
    path
    for path in sorted(TEMPLATES.rglob("*.*"))
    if path.relative_to(TEMPLATES).parts[0] != FOR_DEVELOPERS
]


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_says_nothing_past_the_catalogue(path: Path) -> None:
    assert untranslated(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hola</p>",
        '<p>{{ _("Hola") }} y adiós</p>',
        '<a aria-label="Cerrar"></a>',
        '{{ button("Aceptar") }}',
        '{% set label = "todos los correos" %}',
        "Tu código: {{ code }}",
    ],
)
def test_a_word_past_the_catalogue_is_found(source: str) -> None:
    assert untranslated(source)


def spoken(tree: ast.AST) -> Iterator[str]:
    """The literals of a module, without docstrings and without what is translated."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TRANSLATING:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        yield from spoken(node)


@pytest.mark.parametrize("folder", ["identity", "privacy"])
def test_no_spanish_stands_in_the_code_past_the_catalogue(folder: str) -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in (ROOT / folder).rglob("*.py")
        for text in spoken(ast.parse(path.read_text(encoding="utf-8")))
        if SPANISH.search(text)
    }
    assert {(path, text) for path, text in found if path not in SPANISH_DATA} == set()
