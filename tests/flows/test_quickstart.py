"""The quickstart, typed as it stands, on a deployment of its own."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.deployment import PLACET, Deployment
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "quickstart.md"


def test_the_quickstart_works_as_it_is_printed(tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    instance.mkdir()
    placet = Deployment(f"sqlite:///{instance / 'placet.sqlite3'}", instance)
    steps = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    script = tmp_path / "quickstart.sh"
    script.write_text(
        "set -eu\n"
        + steps.replace(".venv/bin/placet", str(PLACET)).replace(
            "http://localhost:8000", placet.url
        )
    )
    with placet.serving():
        done = subprocess.run(
            ["bash", script],
            env={"PATH": f"{PLACET.parent}:/usr/local/bin:/usr/bin:/bin", **placet.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"decision":') == 2
    assert re.search(r'"decision":\s*true', done.stdout)
    assert '"consent-given"' in done.stdout
    assert re.search(r'"decision":\s*false', done.stdout)
    assert '"no-consent"' in done.stdout


@pytest.mark.parametrize("answer", ["200", "500", "nonsense", "closed"])
def test_the_quickstarts_python_takes_anything_but_a_clear_yes_for_a_no(
    answer: str,
) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: PLC0415 - for this test alone
    from threading import Thread  # noqa: PLC0415 - for this test alone

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = {"200": b'{"decision": true}', "nonsense": b"<html>"}.get(answer, b"{}")
            self.send_response(500 if answer == "500" else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    with HTTPServer(("127.0.0.1", 0), Authority) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        if answer == "closed":
            server.shutdown()
            server.server_close()
        try:
            names: dict[str, object] = {}
            exec(found.group(1).replace("http://localhost:8000", url), names)
            may = names["may"]
            assert callable(may)
            assert may("token", "client", "person", "newsletter") is (answer == "200")
        finally:
            if answer != "closed":
                server.shutdown()
