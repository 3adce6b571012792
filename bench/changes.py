"""Commits so many consents and refusals a second, until it is stopped: python -m bench.changes."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import requests


def main() -> None:
    """Post one body after the other, on time; end with an error where one is refused."""
    url, path, token, rate = sys.argv[1:]
    bodies = Path(path).read_text(encoding="utf-8").splitlines()
    began = time.monotonic()
    with requests.Session() as session:
        session.headers.update(
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        )
        for number in itertools.count():
            late = began + number / float(rate) - time.monotonic()
            if late > 0:
                time.sleep(late)
            elif late < -1:  # no faster afterwards: the rate is a second's, not the run's
                began -= late
            answer = session.post(url, bodies[number % len(bodies)], timeout=30)
            if answer.status_code != 201:
                raise SystemExit(f"{answer.status_code} {answer.text}")


if __name__ == "__main__":
    main()
