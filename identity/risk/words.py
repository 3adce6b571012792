"""What the guard of the accounts saw and did, in the words that people read.

A new event of the security trail gets its line in `_EVENTS`: that is all it takes to be shown at
`/account/activity`, and a test demands it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from flask_babel import get_locale, gettext, lazy_gettext

from policies.risk import Outcome, Signal
from policies.vocabulary import EventTag

_EVENTS: Final = {
    EventTag.ACCOUNTS_ACCOUNT_REGISTERED: lazy_gettext("Abriste la cuenta"),
    EventTag.ACCOUNTS_ACCOUNT_VERIFIED: lazy_gettext("Comprobaste tu correo"),
    EventTag.ACCOUNTS_ACCOUNT_CLOSED: lazy_gettext("La cuenta se cerró"),
    EventTag.ACCOUNTS_ACCOUNT_DISABLED: lazy_gettext("La cuenta se desactivó"),
    EventTag.ACCOUNTS_ACCOUNT_ENABLED: lazy_gettext("La cuenta se volvió a activar"),
    EventTag.ACCOUNTS_CLOSING_BEGUN: lazy_gettext("Pediste cerrar la cuenta"),
    EventTag.ACCOUNTS_CLOSING_UNDONE: lazy_gettext("El cierre de la cuenta se anuló"),
    EventTag.ACCOUNTS_ADDRESS_CHANGE_UNDONE: lazy_gettext("Un cambio de dirección se deshizo"),
    EventTag.ACCOUNTS_INVITATION_USED: lazy_gettext("Usaste una invitación"),
    EventTag.ACCOUNTS_ROLE_GRANTED: lazy_gettext("La cuenta recibió un papel"),
    EventTag.ACCOUNTS_ROLE_REMOVED: lazy_gettext("La cuenta perdió un papel"),
    EventTag.ADMINISTRATION_ACCOUNT_LOOKED_UP: lazy_gettext("Consultaron los datos de tu cuenta"),
    EventTag.CREDENTIALS_PASSWORD_SET: lazy_gettext("Contraseña elegida"),
    EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED: lazy_gettext("Se pidió otra contraseña"),
    EventTag.CREDENTIALS_PASSWORD_COMPROMISED: lazy_gettext(
        "Tu contraseña apareció en una filtración"
    ),
    EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED: lazy_gettext(
        "Se pidió recuperar el segundo factor"
    ),
    EventTag.CREDENTIALS_FACTOR_RECOVERY_BEGUN: lazy_gettext(
        "Empezó la espera para quitar el segundo factor"
    ),
    EventTag.CREDENTIALS_FACTOR_RECOVERY_CANCELLED: lazy_gettext(
        "La recuperación del segundo factor se canceló"
    ),
    EventTag.CREDENTIALS_FACTOR_RECOVERY_COMPLETED: lazy_gettext(
        "El segundo factor se quitó tras la recuperación"
    ),
    EventTag.CREDENTIALS_FACTOR_RECOVERY_EXPIRED: lazy_gettext(
        "La recuperación del segundo factor caducó"
    ),
    EventTag.MFA_TOTP_ENROLLED: lazy_gettext("Se añadió una aplicación de autenticación"),
    EventTag.MFA_TOTP_REMOVED: lazy_gettext("Se quitó la aplicación de autenticación"),
    EventTag.MFA_PASSKEY_ADDED: lazy_gettext("Se añadió una llave de acceso"),
    EventTag.MFA_PASSKEY_RENAMED: lazy_gettext("Una llave de acceso cambió de nombre"),
    EventTag.MFA_PASSKEY_REMOVED: lazy_gettext("Se quitó una llave de acceso"),
    EventTag.MFA_PASSKEY_FLAGGED: lazy_gettext("Una llave de acceso quedó suspendida"),
    EventTag.MFA_PASSKEY_CONFIRMED: lazy_gettext("Una llave de acceso volvió a servir"),
    EventTag.SSO_IDENTITY_LINKED: lazy_gettext("Se enlazó una cuenta de otro sitio para entrar"),
    EventTag.SSO_IDENTITY_UNLINKED: lazy_gettext("Se quitó una cuenta enlazada"),
    EventTag.MFA_RECOVERY_CODES_REPLACED: lazy_gettext("Se crearon códigos de recuperación"),
    EventTag.RISK_SIGN_IN_ASSESSED: lazy_gettext("Pedimos un paso más"),
    EventTag.RISK_DEVICE_REMEMBERED: lazy_gettext("Un dispositivo pasó a ser conocido"),
    EventTag.RISK_DEVICE_DISTRUSTED: lazy_gettext("Un dispositivo dejó de ser de confianza"),
    EventTag.RISK_DEVICE_REVOKED: lazy_gettext("Un dispositivo se olvidó"),
    EventTag.RISK_ADDRESS_PROOF_REQUESTED: lazy_gettext(
        "Enviamos un código para probar en otro navegador"
    ),
    EventTag.RISK_ADDRESS_PROOF_COMPLETED: lazy_gettext(
        "Demostraste en un navegador que el correo es tuyo"
    ),
    EventTag.SESSIONS_SIGN_IN_SUCCEEDED: lazy_gettext("Inicio de sesión"),
    EventTag.SESSIONS_SIGN_IN_FAILED: lazy_gettext("Intento fallido de iniciar sesión"),
    EventTag.SESSIONS_SESSION_STEPPED_UP: lazy_gettext("Confirmaste otra vez que eres tú"),
    EventTag.SESSIONS_SESSION_ENDED: lazy_gettext("Se cerraron sesiones"),
}

#: Events whose words are shown to the person.
SHOWN: Final = frozenset(tag.value for tag in _EVENTS)

_REASONS: Final = {
    Signal.NEW_DEVICE: lazy_gettext("era un dispositivo nuevo"),
    Signal.NEW_COUNTRY: lazy_gettext("venía de un país poco habitual"),
    Signal.NEW_NETWORK: lazy_gettext("venía de una red nueva"),
    Signal.IMPOSSIBLE_TRAVEL: lazy_gettext(
        "no daba tiempo a viajar hasta ahí desde la vez anterior"
    ),
    Signal.VELOCITY: lazy_gettext("había habido muchos intentos fallidos en poco tiempo"),
    Signal.BREACHED_PASSWORD: lazy_gettext("la contraseña aparece en una filtración"),
    Signal.MANY_ACCOUNTS: lazy_gettext("se estaban probando muchas cuentas"),
    Signal.UNUSUAL_HOUR: lazy_gettext("era una hora poco habitual"),
}

_FACTORS: Final = {
    "password": lazy_gettext("Contraseña equivocada"),
    "otp": lazy_gettext("Código equivocado"),
    "mailed-code": lazy_gettext("Código del correo equivocado"),
    "passkey": lazy_gettext("Llave de acceso no aceptada"),
}


def event_name(tag: str) -> str:
    """Return what happened."""
    return str(_EVENTS[EventTag(tag)])


def failure(factor: str) -> str:
    """Return what was wrong about a failed try; empty where there are no words for it."""
    return str(_FACTORS.get(factor, ""))


def why(outcome: Outcome, signals: Sequence[Signal]) -> str:
    """Return in one sentence why one more step was asked for, or what was unusual; or ""."""
    reasons = "; ".join(str(_REASONS[signal]) for signal in signals)
    if not reasons:
        return ""
    if outcome is Outcome.CHALLENGE:
        return str(gettext("Pedimos un paso más porque %(reasons)s.", reasons=reasons))
    return str(gettext("No pedimos nada más, aunque %(reasons)s.", reasons=reasons))


def place_name(city: str | None, country: str | None) -> str:
    """Return city and country by name, those that are known."""
    locale = get_locale()
    known = locale.territories.get(country or "", country) if locale else country
    return ", ".join(part for part in (city, known) if part)


#: What the templates may call.
TEMPLATE_FUNCTIONS: Final[Mapping[str, Callable[..., str]]] = {
    "risk_event": event_name,
    "risk_failure": failure,
    "risk_place": place_name,
    "risk_why": why,
}
