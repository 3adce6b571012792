"""What the DPO's desk consists of, in one place for all who have a page there."""

from __future__ import annotations

from flask_babel import lazy_gettext

#: (address, label) of each section, in the order of the navigation.
DESK_SECTIONS = [
    ("/dpo", lazy_gettext("Solicitudes")),
    ("/dpo/consents", lazy_gettext("Consentimientos")),
]
