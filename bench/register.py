"""The register of the benchmarks: the example shop's, with ten purposes that rest on consent."""

from __future__ import annotations

import shutil
from pathlib import Path

from policies.register.loader import load

EXAMPLE = Path(__file__).resolve().parent.parent / "policies" / "register" / "example"
UNITS = tuple(f"bench-{number:02}" for number in range(10))
NOTICE = "analytics"
VERSION = 1
_PURPOSE = """
[{unit}]
title = {{ es = "Medida {unit}", en = "Measure {unit}" }}
summary = {{ es = "Contamos una cosa.", en = "We count one thing." }}
legal_basis = "consent"
data_categories = ["browsing"]
recipients = ["measurement"]
retention = "visits"
notice = "{notice}"
validity_months = 24
dpv_purpose = "dpv:ServiceUsageAnalytics"
"""


def write_register(folder: Path) -> Path:
    """Write the register below `folder` and return where it is."""
    path = folder / "register"
    shutil.copytree(EXAMPLE, path)
    purposes = path / "purposes.toml"
    added = "".join(_PURPOSE.format(unit=unit, notice=NOTICE) for unit in UNITS)
    purposes.write_text(purposes.read_text(encoding="utf-8") + added, encoding="utf-8")
    load(path)  # what is wrong with it shows here
    return path
