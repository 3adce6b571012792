"""A real browser on its way through our sign-in form and back to the application."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from privacy.http import CONTENT_SECURITY_POLICY
from tests.identity.provider.relying_party import person, query_of, register, sign_in, sign_out
from tests.support.processes import free_port
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
FORM = '<!doctype html><form method="post"><button>Iniciar sesión</button></form>'


class SignInForm:
    """A sign-in page in front of a deployment: one button, under our content security policy."""

    def __init__(self, behind: Application, signed_in: Callable[[], None]) -> None:
        self._behind = behind
        self._signed_in = signed_in

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        if request.path != "/login":
            return self._behind(environ, start_response)
        if request.method == "GET":
            page = Response(FORM, content_type="text/html; charset=utf-8")
            page.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            return page(environ, start_response)
        self._signed_in()
        back = Response(status=303, headers={"Location": request.args["next"]})
        return back(environ, start_response)


@contextmanager
def serve(port: int, application: Application) -> Iterator[None]:
    """Serve an application on a loopback port."""
    server = make_server("localhost", port, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def database_kind() -> str:
    """One kind is enough for what a browser does."""
    return "sqlite"


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_browser_gets_from_the_application_through_our_form_and_back(
    database_url: str, instance: Path, mail_server: MailServer, browser: Browser, method: str
) -> None:
    """Chromium refuses a redirect to another site at the end of a form's navigation."""
    port, own = free_port(), free_port()
    base, callback = f"http://localhost:{port}", f"http://127.0.0.1:{own}/callback"
    world: World = make_world(database_url, instance, PLACET_BASE_URL=base)
    shop = register(world, redirect_uris=(callback,))
    ana = person(world)
    sign_out(world)
    asked = shop.request(redirect_uri=callback)
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in asked.items())

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        text = "welcome back"
        if request.path == "/":
            text = f'<form method="{method}" action="{base}/oauth/authorize">{inputs}<button>In</button></form>'
        return Response(text, content_type="text/html; charset=utf-8")(environ, start_response)

    front = SignInForm(world.app, lambda: sign_in(world, ana))
    with serve(port, front), serve(own, application), browser.new_page() as page:
        page.goto(f"http://127.0.0.1:{own}/")
        page.get_by_role("button", name="In").click()
        page.get_by_role("button", name="Iniciar sesión").click()
        page.wait_for_url(callback + "?**")
        answer = query_of(page.url)
    world.placet.runtime.database.engine.dispose()
    assert (answer["state"], answer["iss"]) == ("xyz", base)
    assert shop.exchange(answer["code"], redirect_uri=callback).status_code == 200
