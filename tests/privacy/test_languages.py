"""English dates are European ones, on pages and in letters."""

from datetime import UTC, datetime

import pytest
from flask_babel import force_locale, format_date

from privacy.languages import locale_of, page_language
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
DAY = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "words"), [("es", "4 de marzo de 2026"), ("en", "4 March 2026")]
)
def test_a_date_is_written_the_day_first(world: World, language: str, words: str) -> None:
    with world.app.test_request_context(f"/?lang={language}"):
        assert (format_date(DAY, "long"), page_language()) == (words, language)
    with world.app.test_request_context("/"), force_locale(locale_of(language)):
        assert (format_date(DAY, "long"), page_language()) == (words, language)
    assert locale_of(f"{language}-ES") == locale_of(language)
    assert locale_of("ca-valencia") == "es"  # of a notice; no letter about it fails


def test_a_page_says_its_language_without_the_region_and_is_translated(world: World) -> None:
    page = world.client.get("/login?lang=en").text
    assert '<html lang="en">' in page
    assert "Sign in" in page
