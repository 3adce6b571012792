"""Every table that a decision reads says so, so that nobody changes it unseen. docs/decisions/0011."""

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from identity.provider.store import TOKEN_AND_CLIENT
from privacy.consent.plain_sightings import many_plain, one_plain
from privacy.consent.sightings import many
from privacy.consent.store import SIGHTING_OF_PSEUDONYM

#: Tables whose rows, once they are read, say the same for ever: a domain's name and number; an address
#: of an import, which counts from the moment at which its list, a table of facts, says so.
NEVER_CHANGE = {"pseudonym_domain", "exclusion"}


def _tables(statement: sa.Select[*tuple[object, ...]]) -> dict[str, sa.Table]:
    return {each.name: each for each in visitors.iterate(statement) if isinstance(each, sa.Table)}


def test_every_table_of_facts_is_marked() -> None:
    read = _tables(SIGHTING_OF_PSEUDONYM)
    for dialect in ("sqlite", "postgresql"):
        for statement in (many(dialect), one_plain(dialect), many_plain(dialect)):
            read |= _tables(statement)
    assert {"subject", "consent_state", "objection", "pseudonym"} < read.keys()
    unmarked = {name for name, table in read.items() if not table.info.get("decides")}
    assert unmarked == NEVER_CHANGE


def test_every_table_that_tells_who_calls_is_marked() -> None:
    read = _tables(TOKEN_AND_CLIENT)
    assert read.keys() == {"oauth_token", "oauth_client"}
    assert all(table.info.get("admits") for table in read.values())
