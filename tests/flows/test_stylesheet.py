"""The stylesheet's colours can be told apart, in both schemes, before any browser is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "static" / "placet.css").read_text(encoding="utf-8")
PLAIN = re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)

TOKEN_BLOCK = re.compile(r":root\s*\{(?P<body>[^}]*)\}")
TOKEN = re.compile(r"(--[\w-]+):\s*([^;]+);")

# (text, background) as the rules below the tokens pair them. Source: WCAG 2.2 s. 1.4.3.
TEXT_PAIRS = [
    *[
        (text, ground)
        for text in ("--ink", "--ink-soft", "--accent", "--accent-strong")
        for ground in ("--page", "--surface", "--sunken")
    ],
    ("--on-accent", "--accent"),
    ("--on-accent", "--accent-strong"),
    ("--on-danger", "--danger"),
    ("--on-danger", "--danger-strong"),
    ("--bad-ink", "--page"),
    ("--bad-ink", "--surface"),
    *[(f"--{tone}-ink", f"--{tone}-fill") for tone in ("on", "off", "good", "warn", "bad")],
    ("--scan-ink", "--scan-fill"),
]

# What shows where to act, or where one is. Source: WCAG 2.2 s. 1.4.11.
BORDER_PAIRS = [
    (border, ground)
    for border in ("--edge", "--focus", "--accent", "--danger")
    for ground in ("--page", "--surface", "--sunken")
]


def colour_tokens(body: str) -> dict[str, str]:
    return {name: value for name, value in TOKEN.findall(body) if value.startswith("#")}


def scheme(name: str) -> dict[str, str]:
    """The colours in force in one scheme: `light`, `dark` or `print` (printed from dark)."""
    blocks = {"light": PLAIN.index(":root")}
    blocks["dark"] = PLAIN.index("(prefers-color-scheme: dark)")
    blocks["print"] = PLAIN.index("@media print")
    tokens: dict[str, str] = {}
    for part in ("light", "dark", "print"):
        block = TOKEN_BLOCK.search(PLAIN, blocks[part])
        assert block
        tokens |= colour_tokens(block["body"])
        if part == name:
            return tokens
    raise AssertionError(name)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1. Source: WCAG 2.2, definitions."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21. Source: WCAG 2.2, definitions."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_formula_gives_the_published_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_stands_out_from_its_background(name: str, text: str, ground: str) -> None:
    colours = scheme(name)
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize(("border", "ground"), BORDER_PAIRS)
def test_borders_and_focus_stand_out_from_what_surrounds_them(
    name: str, border: str, ground: str
) -> None:
    colours = scheme(name)
    assert contrast(colours[border], colours[ground]) >= 3


def test_paper_is_white_even_where_the_screen_was_dark() -> None:
    colours = scheme("print")
    assert colours["--page"] == colours["--surface"] == colours["--sunken"] == "#ffffff"
    assert all(
        contrast(colours[text], colours[ground]) >= 4.5
        for text, ground in TEXT_PAIRS
        if not text.startswith("--on-a") and not text.startswith("--on-d") and "strong" not in text
    )


def test_dark_gives_every_colour_that_light_has() -> None:
    dark = PLAIN.index("(prefers-color-scheme: dark)")
    block = TOKEN_BLOCK.search(PLAIN, dark)
    assert block
    same_in_both = {"--scan-ink", "--scan-fill"}
    assert set(colour_tokens(block["body"])) == set(scheme("light")) - same_in_both


def test_colours_are_written_in_the_tokens_alone() -> None:
    rules = TOKEN_BLOCK.sub("", PLAIN)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|\brgba?\(|\bhsla?\(|\boklch\(", rules) == []
    named = re.findall(
        r"(?:color|background|border[\w-]*):\s*[^;]*\b(white|black|gr[ae]y)\b", rules
    )
    assert named == []


def test_every_pair_of_colour_and_background_in_one_rule_is_measured() -> None:
    rules = TOKEN_BLOCK.sub("", PLAIN)
    pairs = {
        (text[1], ground[1])
        for body in re.findall(r"\{([^{}]*)\}", rules)
        if (text := re.search(r"(?<![\w-])color:\s*var\((--[\w-]+)\)", body))
        and (ground := re.search(r"(?<![\w-])background:\s*var\((--[\w-]+)\)", body))
    }
    assert pairs
    assert pairs - set(TEXT_PAIRS) == set()


def test_every_token_used_is_defined_and_every_defined_one_is_used() -> None:
    used = set(re.findall(r"var\((--[\w-]+)", PLAIN))
    defined = {name for name, _ in TOKEN.findall(PLAIN)}
    assert used == defined


def test_no_rule_tells_accept_from_refuse() -> None:
    rules = re.findall(r"([^{}]*\.choice\b[^{}]*)\{", PLAIN)
    assert rules
    positional = re.compile(r":(?:first|last|nth|only)|\[(?:name|value)|\.button-|\+|~")
    assert [rule for rule in rules if positional.search(rule)] == []


def test_the_focus_outline_is_removed_from_nothing_that_can_be_operated() -> None:
    without = re.findall(r"([^{}]+)\{[^{}]*outline:\s*(?:none|0)\b[^{}]*\}", PLAIN)
    assert [selector.strip() for selector in without] == ["main:focus"]


def test_nothing_moves_by_itself_and_nothing_is_fetched() -> None:
    moving = re.findall(r"(?:animation|transition)[\w-]*:(?!\s*none\b)[^;]+", PLAIN)
    assert moving == []
    assert "@keyframes" not in PLAIN
    assert "url(" not in PLAIN
    assert "@import" not in PLAIN
