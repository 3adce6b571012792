"""The journal of what decisions read about a person, as the person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from privacy.clock import rfc3339
from privacy.consent.suppression_store import ALL_MARKETING
from privacy.events import Json
from privacy.subjects.fact_store import FactKind, FactRow, facts_of
from privacy.subjects.store import all_ids
from privacy.unit_of_work import UnitOfWork

#: The kinds whose `value_at` is the end of what holds.
_ENDS: Final = frozenset({FactKind.MINOR})


class FactsSource:
    """What was noted of a person and when, as a source of personal data."""

    #: What this source of personal data is called in an access file.
    name = "facts"

    @staticmethod
    def collect(session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return everything that was noted, oldest first, in words. Source: GDPR Art. 12(1), 15(1)."""
        rows = facts_of(session, list(session.scalars(all_ids(subject_id))))
        return {"noted": [_described(row) for row in rows]}

    @staticmethod
    def erase(uow: UnitOfWork, subject_id: str) -> None:
        """Keep the journal: past answers are computed from it, and it ends with their proof's term.

        Source: GDPR Art. 7(1), 17(3)(e).
        """


def _described(row: FactRow) -> dict[str, Json]:
    kind = FactKind(row.kind)
    of_one = row.purpose is not None and row.purpose != ALL_MARKETING
    return {
        "what": _words(kind, row),
        **({"purpose": row.purpose} if of_one else {}),
        "at": rfc3339(row.at),
        **({"until": rfc3339(row.value_at)} if kind in _ENDS and row.value_at else {}),
        "recorded_at": rfc3339(row.recorded_at),
    }


def _words(kind: FactKind, row: FactRow) -> str:
    suppressed = gettext("Te mantenemos fuera de esta publicidad")
    wanted = gettext("Vuelves a querer esta publicidad")
    moved = gettext("Una de tus direcciones pasó a los datos que unimos")
    if row.purpose == ALL_MARKETING:
        suppressed = gettext("Te mantenemos fuera de toda la publicidad")
        wanted = gettext("Ya no te mantenemos fuera de toda la publicidad")
    since, no_longer = {
        FactKind.RESTRICTED: (
            gettext("Tus datos solo se guardan: el tratamiento está limitado"),
            gettext("El tratamiento de tus datos ya no está limitado"),
        ),
        FactKind.LEAVING: (
            gettext("Has pedido irte: tus datos no se usan mientras se cierra tu cuenta"),
            gettext("Has decidido quedarte: tus datos se pueden volver a usar"),
        ),
        FactKind.BLOCKED: (
            gettext("Tus datos están bloqueados"),
            gettext("Tus datos ya no están bloqueados"),
        ),
        FactKind.DECEASED: (
            gettext("Consta tu fallecimiento"),
            gettext("Tu fallecimiento constaba por error y está corregido"),
        ),
        FactKind.MINOR: (
            gettext("No tienes edad para aceptar por tu cuenta"),
            gettext("Tienes edad para aceptar por tu cuenta"),
        ),
        FactKind.VERIFIED: (
            gettext("Has demostrado que una dirección es tuya"),
            gettext("Ya no hay ninguna dirección que hayas demostrado que es tuya"),
        ),
        FactKind.OBJECTED: (gettext("Te opones"), gettext("Ya no te opones")),
        FactKind.SUPPRESSED: (suppressed, wanted),
        FactKind.MERGED: (
            gettext("Unimos tus datos, que teníamos como si fueran de dos personas"),
            gettext("Tus datos ya no están unidos"),
        ),
        FactKind.MOVED: (moved, moved),
        FactKind.ERASED: (gettext("Borramos tus datos"), gettext("Volvemos a tener tus datos")),
    }[kind]
    return str(since if row.on else no_longer)
