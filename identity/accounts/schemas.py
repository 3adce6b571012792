"""What our own script sends when a passkey is to be made."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields


class BeginPasskey(Schema):
    """The fields of the registration form, of which the address alone is needed yet."""

    class Meta:
        """The form's other fields come with the passkey itself."""

        unknown = EXCLUDE

    email = fields.String(load_default="")
