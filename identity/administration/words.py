"""Acts, events and standings in the words that administrators read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext

from identity.accounts.model import AccountStatus
from identity.accounts.trail import TrailEntry
from identity.administration.model import Act
from policies.assurance import Factor
from policies.vocabulary import EventTag, Role


@dataclass(frozen=True, slots=True)
class ActWords:
    """The confirmation page of an act.

    Attributes:
        title: of the page.
        consequence: what happens, and what the person notices.
        button: says what it does.
        done: after it.
    """

    title: str
    consequence: str
    button: str
    done: str


def act_words(act: Act) -> ActWords:
    """Return the words of an act."""
    words = {
        Act.RESET: ActWords(
            gettext("Iniciar un cambio de contraseña"),
            gettext(
                "La persona recibe un enlace y un código por correo y elige otra contraseña. Quien "
                "administra no la ve ni la elige. La actual sirve hasta entonces, y el segundo "
                "factor se sigue pidiendo."
            ),
            gettext("Enviar el correo"),
            gettext("El correo para elegir otra contraseña sale ahora."),
        ),
        Act.FACTOR_RECOVERY: ActWords(
            gettext("Iniciar la recuperación del segundo factor"),
            gettext(
                "Para quien ha perdido su segundo factor. Cuenta como una de las dos pruebas que "
                "hacen falta; la otra la da la persona con el correo que recibe. Después hay 72 "
                "horas de espera, con aviso a todas sus direcciones, y solo entonces se quita el "
                "factor."
            ),
            gettext("Iniciar la recuperación"),
            gettext("La recuperación está en marcha y la persona ya tiene el aviso."),
        ),
        Act.END_SESSIONS: ActWords(
            gettext("Cerrar todas las sesiones"),
            gettext(
                "Se cierran ahora mismo en todos los dispositivos. La persona puede iniciar sesión "
                "otra vez."
            ),
            gettext("Cerrar todas las sesiones"),
            gettext("Todas las sesiones están cerradas."),
        ),
        Act.END_SESSION: ActWords(
            gettext("Cerrar una sesión"),
            gettext("Se cierra ahora mismo. La persona puede iniciar sesión otra vez."),
            gettext("Cerrar la sesión"),
            gettext("La sesión está cerrada."),
        ),
        Act.DISABLE: ActWords(
            gettext("Desactivar la cuenta"),
            gettext(
                "Nadie podrá entrar en ella: se cierran sus sesiones, se olvidan sus dispositivos y "
                "las aplicaciones pierden el acceso. Los consentimientos no cambian: desactivar no "
                "es retirar. La persona puede seguir ejerciendo sus derechos."
            ),
            gettext("Desactivar la cuenta"),
            gettext("La cuenta está desactivada."),
        ),
        Act.ENABLE: ActWords(
            gettext("Activar la cuenta"),
            gettext(
                "La persona podrá iniciar sesión otra vez, con su contraseña y su segundo factor."
            ),
            gettext("Activar la cuenta"),
            gettext("La cuenta está activa."),
        ),
        Act.ROLE: ActWords(
            gettext("Cambiar el papel"),
            gettext(
                "Cambia lo que la cuenta puede ver y hacer aquí. Se cierran sus sesiones, y con un "
                "papel nuevo tendrá que entrar con una llave de acceso."
            ),
            gettext("Cambiar el papel"),
            gettext("El papel ha cambiado."),
        ),
    }
    return words[act]


def role_name(role: Role) -> str:
    """Return what a role is called."""
    names: dict[str, str] = {
        Role.PERSON: gettext("Sin papel"),
        Role.STAFF: gettext("Personal"),
        Role.DPO: gettext("Delegado de protección de datos"),
        Role.ADMINISTRATOR: gettext("Administración"),
    }
    return names[role]


def status_name(status: AccountStatus) -> str:
    """Return where an account stands."""
    names: dict[str, str] = {
        AccountStatus.ACTIVE: gettext("Activa"),
        AccountStatus.DISABLED: gettext("Desactivada"),
        AccountStatus.CLOSING: gettext("Cerrándose"),
        AccountStatus.CLOSED: gettext("Cerrada"),
    }
    return names[status]


STATUS_TONES: Final = {
    AccountStatus.ACTIVE: "on",
    AccountStatus.DISABLED: "bad",
    AccountStatus.CLOSING: "warn",
    AccountStatus.CLOSED: "off",
}


def factor_names(factors: Collection[Factor]) -> str:
    """Return what the factors are called, in one order."""
    names = {
        Factor.PASSWORD: gettext("Contraseña"),
        Factor.TOTP: gettext("Aplicación de autenticación"),
        Factor.PASSKEY: gettext("Llave de acceso"),
        Factor.RECOVERY_CODE: gettext("Códigos de recuperación"),
        Factor.FEDERATED: gettext("Cuenta de otro sitio"),
    }
    return ", ".join(words for factor, words in names.items() if factor in factors)


def event_words(tag: str) -> str:
    """Return what happened; the event's own name where it has no words here."""
    return _event_words().get(tag, tag)


def actor_words(actor: str) -> str:
    """Return who did it: the person, somebody of ours, an application, or the system."""
    kind, _, name = actor.partition(":")
    names = {
        "person": gettext("La persona"),
        "anonymous": gettext("Alguien sin sesión"),
        "system": gettext("El sistema"),
        "application": gettext("Una aplicación"),
        "staff": gettext("Personal"),
        "dpo": gettext("Delegado de protección de datos"),
        "administrator": gettext("Administración"),
    }
    words = names.get(kind, kind)
    return f"{words} {name[:8]}" if name else words


def detail_words(entry: TrailEntry) -> str:
    """Return factor, role, cause, reason, methods and network of an event, those that it has."""
    said: dict[str, object] = {**entry.event, **entry.evidence}
    names = ("factor", "role", "cause", "by", "reason")
    shown = [str(said[name]) for name in names if said.get(name)]
    methods = said.get("methods")
    shown += [str(each) for each in methods] if isinstance(methods, list) else []
    codes = _codes()
    shown = [codes.get(each, each) for each in shown]
    shown += [str(said[name]) for name in ("network", "user_agent") if said.get(name)]
    return " · ".join(dict.fromkeys(shown))


def _codes() -> Mapping[str, str]:
    return {role.value: role_name(role) for role in Role} | {
        "password": gettext("contraseña"),
        "pwd": gettext("contraseña"),
        "otp": gettext("código"),
        "totp": gettext("código"),
        "recovery-code": gettext("código de recuperación"),
        "mailed-code": gettext("código por correo"),
        "passkey": gettext("llave de acceso"),
        "swk": gettext("llave de acceso"),
        "user": gettext("con huella, cara o PIN"),
        "mfa": gettext("varios factores"),
        "link": gettext("enlace"),
        "code": gettext("código"),
        "sign-in": gettext("con la sesión iniciada"),
        "sign-out": gettext("cierre de sesión"),
        "by-person": gettext("pedido por la persona"),
        "by-staff": gettext("pedido por administración"),
        "password-set": gettext("contraseña nueva"),
        "second-factor-removed": gettext("factor quitado"),
        "device-forgotten": gettext("dispositivo olvidado"),
        "step-up-failed": gettext("prueba fallida"),
        "role-changed": gettext("cambio de papel"),
        "disabled": gettext("cuenta desactivada"),
        "account-disabled": gettext("cuenta desactivada"),
        "closing": gettext("cierre de la cuenta"),
    }


def _event_words() -> Mapping[str, str]:
    return {
        EventTag.ACCOUNTS_ACCOUNT_REGISTERED: gettext("Cuenta abierta"),
        EventTag.ACCOUNTS_ACCOUNT_VERIFIED: gettext("Dirección comprobada"),
        EventTag.ACCOUNTS_ACCOUNT_DISABLED: gettext("Cuenta desactivada"),
        EventTag.ACCOUNTS_ACCOUNT_ENABLED: gettext("Cuenta activada"),
        EventTag.ACCOUNTS_ACCOUNT_CLOSED: gettext("Cuenta cerrada"),
        EventTag.ACCOUNTS_CLOSING_BEGUN: gettext("Cierre pedido"),
        EventTag.ACCOUNTS_CLOSING_UNDONE: gettext("Cierre anulado"),
        EventTag.ACCOUNTS_INVITATION_USED: gettext("Invitación usada"),
        EventTag.ACCOUNTS_ROLE_GRANTED: gettext("Papel dado"),
        EventTag.ACCOUNTS_ROLE_REMOVED: gettext("Papel quitado"),
        EventTag.ADMINISTRATION_ACCOUNT_LOOKED_UP: gettext("Cuenta consultada"),
        EventTag.CREDENTIALS_PASSWORD_SET: gettext("Contraseña nueva"),
        EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED: gettext("Cambio de contraseña pedido"),
        EventTag.MFA_TOTP_ENROLLED: gettext("Aplicación de autenticación añadida"),
        EventTag.MFA_TOTP_REMOVED: gettext("Aplicación de autenticación quitada"),
        EventTag.CREDENTIALS_PASSWORD_COMPROMISED: gettext("Contraseña filtrada"),
        EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED: gettext("Recuperación de factor pedida"),
        EventTag.CREDENTIALS_FACTOR_RECOVERY_BEGUN: gettext("Espera de la recuperación empezada"),
        EventTag.CREDENTIALS_FACTOR_RECOVERY_CANCELLED: gettext("Recuperación de factor cancelada"),
        EventTag.CREDENTIALS_FACTOR_RECOVERY_COMPLETED: gettext("Factor quitado tras la espera"),
        EventTag.CREDENTIALS_FACTOR_RECOVERY_EXPIRED: gettext("Recuperación de factor caducada"),
        EventTag.MFA_PASSKEY_ADDED: gettext("Llave de acceso añadida"),
        EventTag.MFA_PASSKEY_RENAMED: gettext("Llave de acceso con otro nombre"),
        EventTag.MFA_PASSKEY_REMOVED: gettext("Llave de acceso quitada"),
        EventTag.MFA_PASSKEY_FLAGGED: gettext("Llave de acceso suspendida"),
        EventTag.MFA_PASSKEY_CONFIRMED: gettext("Llave de acceso confirmada"),
        EventTag.MFA_RECOVERY_CODES_REPLACED: gettext("Códigos de recuperación nuevos"),
        EventTag.RISK_DEVICE_REMEMBERED: gettext("Dispositivo conocido"),
        EventTag.RISK_DEVICE_REVOKED: gettext("Dispositivo olvidado"),
        EventTag.RISK_ADDRESS_PROOF_REQUESTED: gettext("Comprobación de dirección pedida"),
        EventTag.SESSIONS_SESSION_STEPPED_UP: gettext("Identidad probada otra vez"),
        EventTag.SESSIONS_SIGN_IN_SUCCEEDED: gettext("Inicio de sesión"),
        EventTag.SESSIONS_SIGN_IN_FAILED: gettext("Inicio de sesión fallido"),
        EventTag.SESSIONS_SESSION_ENDED: gettext("Sesiones cerradas"),
    }


#: What the templates may call.
TEMPLATE_FUNCTIONS: Final = (
    role_name,
    status_name,
    factor_names,
    event_words,
    actor_words,
    detail_words,
)
