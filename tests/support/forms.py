"""Forms as a browser sends them: the page is fetched first, and its token goes along."""

from collections.abc import Mapping
from html import unescape
from re import DOTALL, findall, search

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def csrf_token(page: str) -> str:
    """Return the token of a page's first form."""
    found = search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, "the page has no form with a token"
    return unescape(found.group(1))


def submit(
    client: FlaskClient, path: str, data: Mapping[str, str], *, to: str | None = None
) -> TestResponse:
    """Get the page at `path` and post `data` with its token to `to`, by default the same path.

    The hidden fields of that form go along, as a browser would send them.
    """
    page = client.get(path)
    assert page.status_code == 200, page.status
    target = (to or path).partition("?")[0]
    own = [form for form in forms(page.text) if search(rf'action="{target}[?"]', form)]
    hidden = hidden_fields(own[0]) if len(own) == 1 else {}
    token = csrf_token(page.text)
    return client.post(to or path, data={**hidden, **data, "csrf_token": token})


def hidden_fields(form: str) -> dict[str, str]:
    """Return the hidden fields of one form's HTML."""
    inputs = findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in inputs}


def forms(page: str) -> list[str]:
    """Return each form of a page, its HTML."""
    return list(findall(r"<form\b.*?</form>", page, DOTALL))
