"""The words of each `Notice`, in the language of the letter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext
from jinja2 import pass_context
from jinja2.runtime import Context

from identity.accounts.notices import Notice

#: What must not be answered by "change your password": the person cannot get in, or staff did it.
_BY_STAFF: Final = frozenset(
    {
        Notice.SESSIONS_ENDED_BY_STAFF,
        Notice.RESET_STARTED_BY_STAFF,
        Notice.FACTOR_RECOVERY_STARTED_BY_STAFF,
        Notice.ROLE_CHANGED,
        Notice.ACCOUNT_DISABLED,
        Notice.ACCOUNT_ENABLED,
    }
)


@dataclass(frozen=True, slots=True)
class NoticeWords:
    """A letter's words.

    Attributes:
        subject: of the letter.
        text: what happened.
        advice: what to do now.
        action_path: the page that the button leads to; None for no button.
        action_label: of the button.
    """

    subject: str
    text: str
    advice: str
    action_path: str | None
    action_label: str


def words_of(what: str, details: Mapping[str, str], controller: str, email: str) -> NoticeWords:
    """Return the words of a notice.

    Args:
        what: the value of a `Notice`.
        details: as `SecurityNotices.tell` got them.
        controller: the company's name.
        email: where it reads letters.
    """
    notice = Notice(what)
    subject, text = _what_happened(details, controller)[notice]
    if notice in _BY_STAFF:
        advice = gettext("Si no lo esperabas, escríbenos a %(email)s.", email=email)
        return NoticeWords(subject, text, advice, None, "")
    if notice is Notice.SUSPICIOUS_ATTEMPTS:
        advice = gettext(
            "No han entrado. No tienes que hacer nada; si quieres más protección, añade una llave "
            "de acceso."
        )
        return NoticeWords(
            subject, text, advice, "/account/security", gettext("Ver cómo inicias sesión")
        )
    if notice is Notice.PASSWORD_KNOWN:
        advice = gettext(
            "No han entrado. Si has sido tú, no hagas nada. Si no, cambia la contraseña ahora mismo."
        )
        return NoticeWords(
            subject, text, advice, "/account/password", gettext("Cambiar la contraseña")
        )
    if notice is Notice.NEW_DEVICE:
        advice = gettext(
            "Si has sido tú, no hagas nada. Si no, entra en tus dispositivos, olvida ese y cambia "
            "la contraseña ahora mismo."
        )
        return NoticeWords(
            subject, text, advice, "/account/devices", gettext("Ver mis dispositivos")
        )
    advice = gettext(
        "Si has sido tú, no hagas nada. Si no, elige otra contraseña ahora mismo y escríbenos a "
        "%(email)s.",
        email=email,
    )
    return NoticeWords(subject, text, advice, "/recover", gettext("Elegir otra contraseña"))


@pass_context
def security_notice(context: Context, what: str, details: Mapping[str, str]) -> NoticeWords:
    """Return the words of a notice for the template that is being rendered."""
    return words_of(what, details, context["controller_name"], context["controller_email"])


def _what_happened(details: Mapping[str, str], controller: str) -> dict[Notice, tuple[str, str]]:
    device = details.get("device") or gettext("un navegador que no reconocemos")
    network = details.get("network") or gettext("desconocida")
    name = details.get("name") or gettext("sin nombre")
    return {
        Notice.NEW_DEVICE: (
            gettext("Has iniciado sesión en un dispositivo nuevo"),
            gettext(
                "Has iniciado sesión en %(controller)s con %(device)s, desde la red %(network)s. "
                "Es la primera vez que vemos ese dispositivo en tu cuenta.",
                controller=controller,
                device=device,
                network=network,
            ),
        ),
        Notice.PASSWORD_CHANGED: (
            gettext("Tu contraseña ha cambiado"),
            gettext(
                "La contraseña de tu cuenta en %(controller)s acaba de cambiar.",
                controller=controller,
            ),
        ),
        Notice.SECOND_FACTOR_ADDED: (
            gettext("Has añadido un segundo factor"),
            gettext(
                "Desde ahora, para iniciar sesión en %(controller)s hace falta también el código "
                "de tu aplicación de autenticación.",
                controller=controller,
            ),
        ),
        Notice.SECOND_FACTOR_REMOVED: (
            gettext("Has quitado un segundo factor"),
            gettext(
                "Tu cuenta en %(controller)s ya no pide el código de tu aplicación de "
                "autenticación.",
                controller=controller,
            ),
        ),
        Notice.PASSKEY_ADDED: (
            gettext("Has añadido una llave de acceso"),
            gettext(
                "Desde ahora puedes iniciar sesión en %(controller)s con la llave «%(name)s».",
                controller=controller,
                name=name,
            ),
        ),
        Notice.PASSKEY_REMOVED: (
            gettext("Has quitado una llave de acceso"),
            gettext(
                "Para iniciar sesión en %(controller)s ya no sirve la llave «%(name)s».",
                controller=controller,
                name=name,
            ),
        ),
        Notice.PASSKEY_FLAGGED: (
            gettext("Hemos suspendido una llave de acceso"),
            gettext(
                "La llave «%(name)s» puede estar copiada: su contador ha ido hacia atrás. No "
                "servirá para iniciar sesión en %(controller)s hasta que la revises.",
                controller=controller,
                name=name,
            ),
        ),
        Notice.IDENTITY_LINKED: (
            gettext("Has enlazado otra forma de entrar"),
            gettext(
                "Desde ahora puedes iniciar sesión en %(controller)s con tu cuenta de %(name)s.",
                controller=controller,
                name=name,
            ),
        ),
        Notice.IDENTITY_UNLINKED: (
            gettext("Has quitado una forma de entrar"),
            gettext(
                "Tu cuenta de %(name)s ya no sirve para iniciar sesión en %(controller)s.",
                controller=controller,
                name=name,
            ),
        ),
        Notice.RECOVERY_CODES_REPLACED: (
            gettext("Tienes códigos de recuperación nuevos"),
            gettext(
                "Los códigos de recuperación anteriores de tu cuenta en %(controller)s ya no "
                "sirven.",
                controller=controller,
            ),
        ),
        Notice.RECOVERY_CODE_USED: (
            gettext("Se ha usado un código de recuperación"),
            gettext(
                "Alguien ha usado uno de tus códigos de recuperación en %(controller)s, con "
                "%(device)s, desde la red %(network)s. Códigos que te quedan: %(left)s.",
                controller=controller,
                device=device,
                network=network,
                left=details.get("left") or "–",
            ),
        ),
        Notice.ADDRESS_CHANGED: (
            gettext("Han cambiado las direcciones de tu cuenta"),
            gettext(
                "En %(controller)s ha cambiado una dirección con la que te conocemos.",
                controller=controller,
            ),
        ),
        Notice.SUSPICIOUS_ATTEMPTS: (
            gettext("Alguien intenta entrar en tu cuenta"),
            gettext(
                "Ha habido varios intentos seguidos de iniciar sesión en tu cuenta de "
                "%(controller)s con una contraseña equivocada.",
                controller=controller,
            ),
        ),
        Notice.PASSWORD_KNOWN: (
            gettext("Alguien ha escrito tu contraseña"),
            gettext(
                "En un navegador que no conocemos han escrito bien la contraseña de tu cuenta de "
                "%(controller)s, y mal, varias veces, el código del segundo factor.",
                controller=controller,
            ),
        ),
        Notice.SESSIONS_ENDED_BY_STAFF: (
            gettext("Hemos cerrado tus sesiones"),
            gettext(
                "El equipo de %(controller)s ha cerrado sesiones de tu cuenta.",
                controller=controller,
            ),
        ),
        Notice.RESET_STARTED_BY_STAFF: (
            gettext("Puedes elegir otra contraseña"),
            gettext(
                "El equipo de %(controller)s ha puesto en marcha un cambio de tu contraseña. "
                "Recibirás otro correo con un enlace: solo tú eliges la contraseña.",
                controller=controller,
            ),
        ),
        Notice.FACTOR_RECOVERY_STARTED_BY_STAFF: (
            gettext("Recuperación de tu segundo factor"),
            gettext(
                "El equipo de %(controller)s ha puesto en marcha la recuperación de tu segundo "
                "factor. Recibirás otro correo con los pasos.",
                controller=controller,
            ),
        ),
        Notice.FACTOR_RECOVERY_CANCELLED: (
            gettext("Has cancelado la recuperación"),
            gettext(
                "La recuperación de tu segundo factor en %(controller)s se ha cancelado. No ha "
                "cambiado nada: para iniciar sesión lo seguiremos pidiendo.",
                controller=controller,
            ),
        ),
        Notice.FACTOR_RECOVERY_COMPLETED: (
            gettext("Tu cuenta ya no tiene segundo factor"),
            gettext(
                "La recuperación de tu cuenta en %(controller)s ha terminado: hemos quitado el "
                "segundo factor y cerrado todas las sesiones. Inicia sesión y añade otro.",
                controller=controller,
            ),
        ),
        Notice.ROLE_CHANGED: (
            gettext("Ha cambiado lo que puedes hacer aquí"),
            gettext(
                "Una persona que administra %(controller)s ha cambiado el papel de tu cuenta.",
                controller=controller,
            ),
        ),
        Notice.ACCOUNT_DISABLED: (
            gettext("Hemos desactivado tu cuenta"),
            gettext(
                "El equipo de %(controller)s ha desactivado tu cuenta y cerrado sus sesiones. "
                "Lo que aceptaste o retiraste no cambia.",
                controller=controller,
            ),
        ),
        Notice.ACCOUNT_ENABLED: (
            gettext("Tu cuenta vuelve a estar activa"),
            gettext(
                "El equipo de %(controller)s ha activado tu cuenta. Ya puedes iniciar sesión.",
                controller=controller,
            ),
        ),
    }
