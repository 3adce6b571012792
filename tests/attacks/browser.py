"""A browser without a window, as an attacker scripts it: cookies, forms, and one place to be at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

TIMEOUT_SECONDS = 60
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to one request."""

    status: int
    headers: HTTPMessage = field(repr=False)
    text: str = field(repr=False)

    @property
    def location(self) -> str:
        """Where it leads to, without the query; empty where nowhere."""
        return str(self.headers.get("Location", "")).partition("?")[0]


class Browser:
    """One browser of somebody at one network address; not shared between threads.

    Args:
        port: of the server, on this machine.
        forwarded_for: what reaches the server as `X-Forwarded-For`; None sends none.
        cookies: what it holds at first.
    """

    def __init__(
        self,
        port: int,
        *,
        forwarded_for: str | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> None:
        self.forwarded_for = forwarded_for
        self.cookies = dict(cookies or {})
        self._port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._connection.close()

    def get(self, path: str) -> Answer:
        """Fetch a page, and keep the token of its form."""
        answer = self._send("GET", path, None)
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.text)
        if found:
            self._token = unescape(found[1])
        return answer

    def submit(self, path: str, fields: Mapping[str, str], *, to: str | None = None) -> Answer:
        """Send a form with the token that this browser was given; fetch the page if it has none."""
        if not self._token:
            page = self.get(path)
            assert self._token, f"{path} answered {page.status} and has no form"
        return self._send("POST", to or path, {**fields, "csrf_token": self._token})

    def _send(self, method: str, path: str, fields: Mapping[str, str] | None) -> Answer:
        headers = {"Host": f"localhost:{self._port}", "User-Agent": FIREFOX}
        if self.forwarded_for is not None:
            headers["X-Forwarded-For"] = self.forwarded_for
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(fields)
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
        for line in response.headers.get_all("Set-Cookie", []):
            self._keep(line)
        return answer

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
