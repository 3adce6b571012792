"""What of the long tests runs on every change, and what waits for the soak run."""

import pytest

SOAK = pytest.mark.soak

#: A whole system from end to end: on PostgreSQL on every change, on both in the soak run. What it
#: is made of is tested on both on every change.
DATABASES = pytest.mark.parametrize(
    "database_kind", [pytest.param("sqlite", marks=SOAK), "postgresql"], indirect=True
)

#: What people and applications see, above services that are tested on both databases on every
#: change: on SQLite then, on PostgreSQL in the soak run.
PAGES = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgresql", marks=SOAK)], indirect=True
)
