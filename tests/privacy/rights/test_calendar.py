"""Holidays as dates, and the command that prints deadlines."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from privacy.rights.calendar import holidays_of
from privacy.rights.commands import deadline

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "rights_deadlines.csv"


def test_regional_holidays_count_only_in_their_region() -> None:
    assert date(2026, 5, 2) in holidays_of("ES-MD")(2026)
    assert date(2026, 5, 2) not in holidays_of("ES-CT")(2026)
    assert date(2026, 5, 2) not in holidays_of("ES")(2026)


@pytest.mark.parametrize("region", ["ES-XX", "QQ", ""])
def test_a_region_without_a_calendar_is_refused_by_name(region: str) -> None:
    with pytest.raises(ValueError, match="no calendar"):
        holidays_of(region)


@pytest.mark.parametrize(
    ("received", "region", "expected"),
    [
        ("2026-01-31", "ES-MD", ("2026-02-28", "2026-03-02", "2026-04-30", "2026-04-30")),
        ("2026-03-06", "ES-CT", ("2026-04-06", "2026-04-07", "2026-06-06", "2026-06-08")),
        ("2028-01-31", "ES-MD", ("2028-02-29", "2028-02-29", "2028-04-30", "2028-05-03")),
    ],
)
def test_the_command_prints_nominal_and_effective_dates(
    received: str, region: str, expected: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(deadline, [received, "--region", region, "--json"])
    assert done.exit_code == 0
    answer = json.loads(done.output)
    names = ("nominal_1m", "effective_1m", "nominal_3m", "effective_3m")
    assert tuple(answer[name] for name in names) == expected


def test_the_end_is_midnight_in_the_controllers_zone() -> None:
    answer = json.loads(CliRunner().invoke(deadline, ["2026-01-31", "--json"]).output)
    assert answer["ends_at_1m"] == "2026-03-02T23:00:00.000Z"


def test_without_json_the_same_is_readable() -> None:
    done = CliRunner().invoke(deadline, ["2026-01-31", "--region", "ES-MD"])
    assert "effective_1m  2026-03-02" in done.output


@pytest.mark.parametrize(
    "arguments",
    [["31-01-2026"], ["2026-01-31", "--region", "ES-XX"], ["2026-01-31", "--zone", "Mars/Base"]],
)
def test_a_wrong_argument_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(deadline, arguments).exit_code == 2


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not here")
def test_the_command_agrees_with_the_vectors() -> None:
    with VECTORS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        arguments = [row["received"], "--region", row["region"], "--json"]
        answer = json.loads(CliRunner().invoke(deadline, arguments).output)
        assert {name: answer[name] for name in row} == row
