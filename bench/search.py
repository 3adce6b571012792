"""Searches for people: the first page, and all pages one after the other, by both ways of answering.

The client reads what it must to go on, each person and the next token, and no more: it waits for the
server on the same two cores.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from bench import parts
from bench.register import UNITS
from bench.stage import Stage

PAGE = 1000
FIRSTS = 20
#: One of those that stand still meanwhile.
UNIT = 0

Rows = list[dict[str, object]]


class _Person(msgspec.Struct):
    id: str


class _Next(msgspec.Struct):
    next_token: str


class _Page(msgspec.Struct):
    results: list[_Person]
    page: _Next


_PAGE = msgspec.json.Decoder(_Page)


def searched(stage: Stage) -> Rows:
    """Search the people of a stage that is served, by the decision workers and the web processes.

    Raises:
        SystemExit: the pages do not name everybody who is permitted, each once.
    """
    rows: Rows = []
    for way, base in (("shared-version", stage.decisions), ("read-each", stage.web)):
        firsts, rates = [], []
        for _ in range(FIRSTS):
            began = time.perf_counter()
            next(_pages(stage, base))
            firsts.append(time.perf_counter() - began)
        for _ in range(parts.ROUNDS):
            began = time.perf_counter()
            pages = list(_pages(stage, base))
            took = time.perf_counter() - began
            _check(stage, pages)
            rates.append(sum(len(page.results) for page in pages) / took)
            print(f"  {way:44}{rates[-1]:12,.0f} people/s in {len(pages)} pages", flush=True)
        name = f"search-{stage.kind}-{stage.people}-{way}"
        first = statistics.median(firsts) * 1000
        rate = statistics.median(rates)
        rows += [
            parts.figure(f"{name}-first-page", first, "ms", part="search", people_a_page=PAGE),
            parts.figure(f"{name}-all-pages", rate, "people/s", part="search", rounds=len(rates)),
        ]
    return rows


def _pages(stage: Stage, base: str) -> Iterator[_Page]:
    question: dict[str, object] = {
        "subject": {"type": "application", "id": stage.client["client_id"]},
        "action": {"name": UNITS[UNIT]},
        "resource": {"type": "person"},
        "page": {"limit": PAGE},
    }
    headers = stage.headers | {"Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)) as connection:
        while True:
            body = json.dumps(question)
            connection.request("POST", "/access/v1/search/resource", body, headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise SystemExit(f"a search is answered by {answer.status}")
            page = _PAGE.decode(answer.read())
            yield page
            if not page.page.next_token:
                return
            question["page"] = {"limit": PAGE, "token": page.page.next_token}


def _check(stage: Stage, pages: list[_Page]) -> None:
    found = [person.id for page in pages for person in page.results]
    names = stage.population.pseudonyms
    expected = {name for number, name in enumerate(names) if stage.permitted(number, UNIT)}
    if len(found) != len(expected) or expected != set(found):
        raise SystemExit(f"{len(found)} people were found instead of {len(expected)}")
