"""What the DPO's desk consists of, in one place for all who have a page there."""

from __future__ import annotations

from flask_babel import gettext, lazy_gettext

from policies.vocabulary import ConsentAction

#: (address, label) of each section, in the order of the navigation.
DESK_SECTIONS = [
    ("/dpo", lazy_gettext("Solicitudes")),
    ("/dpo/consents", lazy_gettext("Consentimientos")),
    ("/dpo/people", lazy_gettext("Personas")),
    ("/dpo/moment", lazy_gettext("Un momento pasado")),
    ("/dpo/endings", lazy_gettext("Poner fin")),
    ("/dpo/register", lazy_gettext("Finalidades")),
]


def action_words(action: ConsentAction) -> str:
    """What happened to a consent, in the desk's neutral words."""
    return str(
        {
            ConsentAction.REQUESTED: gettext("Solicitado"),
            ConsentAction.GIVEN: gettext("Aceptado"),
            ConsentAction.REFUSED: gettext("Rechazado"),
            ConsentAction.WITHDRAWN: gettext("Retirado"),
            ConsentAction.RENEWED: gettext("Renovado"),
            ConsentAction.EXPIRED: gettext("Caducado"),
            ConsentAction.REVOKED: gettext("Revocado"),
            ConsentAction.INVALIDATED: gettext("Anulado"),
        }[action]
    )
