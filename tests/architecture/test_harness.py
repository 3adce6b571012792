"""The servers, browser and programs that the other tests stand on do what they say."""

import shutil
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser

from tests.support.chromium import page_errors, run_axe
from tests.support.node import run_node
from tests.support.postgres import PostgresServer, postgres
from tests.support.processes import ROOT, closed_port, free_port, program, wait_until
from tests.support.smtp import MailServer

STRICT = "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'"
FINE = "<!doctype html><html lang=es><title>Placet</title><main><h1>Hola</h1></main></html>"


def _ask(server: PostgresServer, database: str, statement: str) -> object:
    with closing(psycopg.connect(server.url(database).replace("+psycopg", ""))) as connection:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]


def test_postgresql_is_real_and_lives_in_a_zone_of_its_own(postgres_server: PostgresServer) -> None:
    assert str(_ask(postgres_server, "postgres", "SELECT version()")).startswith("PostgreSQL ")
    assert _ask(postgres_server, "postgres", "SHOW timezone") == "Europe/Madrid"
    assert _ask(postgres_server, "postgres", "SHOW listen_addresses") == ""


def test_a_copied_database_has_the_rows_of_its_template(postgres_server: PostgresServer) -> None:
    postgres_server.create_database("model")
    engine = sa.create_engine(postgres_server.url("model"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t AS SELECT 42 AS n")
    engine.dispose()
    postgres_server.create_database("copy", template="model")
    postgres_server.drop_database("model")
    assert _ask(postgres_server, "copy", "SELECT n FROM t") == 42
    postgres_server.drop_database("copy")
    with pytest.raises(psycopg.OperationalError):
        _ask(postgres_server, "copy", "SELECT 1")


def test_a_durable_postgresql_flushes_and_an_ordinary_one_does_not(
    postgres_server: PostgresServer,
) -> None:
    assert _ask(postgres_server, "postgres", "SHOW fsync") == "off"
    with postgres(durable=True) as server:
        assert _ask(server, "postgres", "SHOW fsync") == "on"
        assert _ask(server, "postgres", "SHOW synchronous_commit") == "on"
    assert not server.is_ready()
    assert not server.socket_folder.exists()


def test_postgresql_ends_with_the_run_that_started_it_however_that_ends() -> None:
    starts_and_dies = (
        "import os, signal\n"
        "from tests.support.postgres import postgres\n"
        "with postgres() as server:\n"
        "    print(server.socket_folder, server.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", starts_and_dies],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    folder, pid = died.stdout.split()
    server = PostgresServer(Path(folder), int(pid))
    at_work = Path(folder, "data", "postmaster.pid")
    wait_until(lambda: not at_work.exists(), "the orphaned server has shut down")
    assert not server.is_ready()
    shutil.rmtree(folder)


def test_every_test_gets_a_migrated_database_of_its_own(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        connection.exec_driver_sql("CREATE TABLE only_here (n integer)")
    engine.dispose()


def _send(server: MailServer, to: str, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "placet@example.com", to, subject
    message.set_content("¡Hola!")
    with smtplib.SMTP(server.host, server.port, timeout=10) as client:
        client.send_message(message)


def test_the_mail_server_keeps_what_it_receives(mail_server: MailServer) -> None:
    _send(mail_server, "ana@example.com", "Confirma tu dirección")
    _send(mail_server, "delia@example.com", "Otra cosa")
    received = mail_server.wait_for(to="ana@example.com")
    assert received["Subject"] == "Confirma tu dirección"
    assert received.get_content().strip() == "¡Hola!"
    assert len(mail_server.messages) == 2
    mail_server.clear()
    with pytest.raises(AssertionError, match="did not arrive within"):
        mail_server.wait_for(to="ana@example.com", timeout=0.05)


def test_the_mail_server_refuses_as_often_as_it_is_told(mail_server: MailServer) -> None:
    mail_server.fail_next(1, 451)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        _send(mail_server, "ana@example.com", "uno")
    assert refused.value.smtp_code == 451
    assert mail_server.messages == []
    _send(mail_server, "ana@example.com", "dos")
    assert mail_server.wait_for(to="ana@example.com")["Subject"] == "dos"


@contextmanager
def _site(body: str) -> Iterator[str]:
    """Serve one page under a strict policy; yield its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", STRICT)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:  # else its thread would go on asking a closed socket, at the cost of a whole core
            server.shutdown()


def _visit(browser: Browser, body: str, allow: tuple[str, ...] = ()) -> None:
    with _site(body) as origin, browser.new_context() as context:
        page = context.new_page()
        with page_errors(page, origins=[origin], allow=("favicon", *allow)):
            page.goto(origin)
            assert page.title() == "Placet"


def test_chromium_opens_a_clean_page(browser: Browser) -> None:
    _visit(browser, FINE)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (FINE + "<script>document.title = 'hacked'</script>", "Content Security Policy"),
        (FINE + "<p style='color: red'>", "Content Security Policy"),
        (FINE + "<img src=http://stranger.example/pixel>", "stranger.example"),
    ],
)
def test_a_page_that_breaks_its_policy_or_calls_a_stranger_fails_the_test(
    browser: Browser, body: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        _visit(browser, body)
    _visit(browser, body, allow=("Content Security Policy", "stranger.example"))


def test_axe_finds_what_is_wrong_under_a_strict_policy_and_breaks_nothing(browser: Browser) -> None:
    faulty = FINE.replace(" lang=es", "").replace("</main>", "<input><a href=/></a></main>")
    for body, expected in ((FINE, set()), (faulty, {"html-has-lang", "label", "link-name"})):
        with _site(body) as origin, browser.new_context() as context:
            page = context.new_page()
            with page_errors(page, origins=[origin], allow=("favicon",)):
                page.goto(origin)
                assert {violation["id"] for violation in run_axe(page)} == expected


def test_node_runs_somebody_elses_library() -> None:
    key = {  # RFC 7638 s. 3.1
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJEC"
        "PebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
        "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh"
        "6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
    }
    answer = run_node("jwk_thumbprint.mjs", key)
    assert answer == {"thumbprint": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}


def test_a_failing_node_script_shows_what_it_said() -> None:
    with pytest.raises(AssertionError, match="TypeError"):
        run_node("jwk_thumbprint.mjs", "not a key")


def test_a_program_is_ready_when_it_answers_and_stops_when_asked(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with program(command, log=tmp_path / "log", ready_url=url) as server:
        wait_until(lambda: "GET / HTTP/1.1" in server.output(), "the request is in the log")
        assert server.stop() == -signal.SIGTERM
    assert not server.is_running()


def test_a_program_that_ends_before_it_is_ready_shows_its_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no database')"]
    with (
        closed_port() as port,
        pytest.raises(AssertionError, match="ended with 1 before it was ready") as failed,
        program(command, log=tmp_path / "log", ready_url=f"http://127.0.0.1:{port}/"),
    ):
        pytest.fail("it cannot be ready")
    assert any("no database" in note for note in failed.value.__notes__)


def test_a_program_that_ignores_sigterm_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    stubborn = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(600)\n"
    )
    with program([sys.executable, "-c", stubborn], log=tmp_path / "log") as running:
        wait_until(lambda: running.output().endswith("\n"), "it has printed its child's number")
        child = Path(f"/proc/{int(running.output())}/stat")
        with pytest.raises(AssertionError, match="ends on SIGTERM"):
            running.stop(seconds=0.2)
    assert running.process.returncode == -signal.SIGKILL
    wait_until(
        lambda: not child.exists() or child.read_text().rsplit(")", 1)[1].split()[0] == "Z",
        "its child has ended too",
    )
