"""A real Chromium, and what every page must keep while a test walks through it."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

from tests.support.processes import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    # The browser's own errands would otherwise look up the maker's hosts.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
]


def chromium_path() -> str:
    """Return the path of the machine's Chromium.

    Raises:
        RuntimeError: there is none; `make test` installs it or says how.
    """
    for name in ("chromium", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise RuntimeError("no chromium and no google-chrome in PATH: make test says how to install it")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium and close it on leaving."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=ARGUMENTS,
            chromium_sandbox=os.geteuid() != 0,  # it cannot sandbox as root
        )
        try:
            yield browser
        finally:
            browser.close()


class PageErrors:
    """What went wrong in a page: script and policy errors, and requests to strangers.

    Args:
        page: the page to watch from now on.
        origins: the origins it may talk to, such as `http://localhost:8000`.
    """

    def __init__(self, page: Page, origins: Sequence[str]) -> None:
        self._page = page
        self._origins = frozenset(origins)
        self.found: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("request", self._on_request)

    def check(self, *, allow: Sequence[str] = ()) -> None:
        """Fail where anything was found that no expression of `allow` matches."""
        if not self._page.is_closed():
            self._page.evaluate("0")  # what the browser has said by now arrives before the answer
        found = [item for item in self.found if not any(re.search(bad, item) for bad in allow)]
        assert not found, "\n".join(["the page is not clean:", *found])

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium reports a violated content security policy here too.
        if message.type in {"error", "warning"}:
            self.found.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_error(self, error: Error) -> None:
        self.found.append(f"script: {error}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if (
            parts.scheme not in {"data", "blob", "about"}
            and _origin(request.url) not in self._origins
        ):
            self.found.append(f"request to a stranger: {request.url}")


@contextmanager
def page_errors(page: Page, *, origins: Sequence[str], allow: Sequence[str] = ()) -> Iterator[None]:
    """Fail the test on leaving where the page was not clean.

    Args:
        page: the page to watch.
        origins: the origins it may talk to.
        allow: expressions for errors that the test provokes, such as `status of 403`.
    """
    errors = PageErrors(page, origins)
    yield
    errors.check(allow=allow)


def run_axe(page: Page) -> list[dict[str, Any]]:
    """Return what violates WCAG 2.2 A and AA in the page as it stands, one item a rule.

    The checker enters through the debugging protocol, which a content security policy does not
    govern, so the page is checked under the policy it is served with.
    """
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations: list[dict[str, Any]] = page.evaluate(
        """async (tags) => (await axe.run(document, {
            runOnly: { type: "tag", values: tags }, resultTypes: ["violations"],
        })).violations.map(({ id, help, nodes }) => ({
            id, help, nodes: nodes.map((node) => node.html),
        }))""",
        WCAG_22_AA,
    )
    return violations


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
