"""Settings of applications in the words that administrators read."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext

from identity.provider.client_settings import Fault
from identity.provider.logout_model import LogoutCause, LogoutState
from identity.provider.model import (
    OFFLINE_ACCESS,
    OPENID,
    ClientAuthMethod,
    GrantType,
    TokenFormat,
)
from policies.vocabulary import Scope


def scope_words() -> Mapping[str, str]:
    """Return what each scope lets an application do, in the order in which they are offered."""
    return {
        OPENID: gettext("Iniciar la sesión de las personas y conocerlas por un seudónimo"),
        "profile": gettext("Pedir nombre, apellidos, fecha de nacimiento e idioma"),
        "email": gettext("Pedir el correo electrónico"),
        "phone": gettext("Pedir el teléfono"),
        "address": gettext("Pedir la dirección postal"),
        OFFLINE_ACCESS: gettext("Seguir conectada cuando la persona ya no está"),
        Scope.DECISIONS_EVALUATE.value: gettext("Preguntar si puede usar los datos de alguien"),
        Scope.CONSENTS_READ.value: gettext("Leer consentimientos y sus recibos"),
        Scope.CONSENTS_WRITE.value: gettext("Registrar consentimientos y su retirada"),
        Scope.PURPOSES_READ.value: gettext("Leer las finalidades y sus avisos"),
        Scope.PSEUDONYMS_READ.value: gettext("Leer seudónimos que ya existen"),
        Scope.PSEUDONYMS_WRITE.value: gettext("Pedir el seudónimo de una persona por su dirección"),
        Scope.PROFILE_REQUEST.value: gettext("Pedir datos del perfil a una persona"),
        Scope.RIGHTS_READ.value: gettext("Leer solicitudes de derechos"),
        Scope.RIGHTS_WRITE.value: gettext("Presentar solicitudes de derechos"),
        Scope.AUDIT_READ.value: gettext("Leer pruebas del registro de auditoría"),
        Scope.REPORTS_READ.value: gettext("Leer informes"),
    }


def grant_words() -> Mapping[str, str]:
    """Return what each grant lets an application do."""
    return {
        GrantType.AUTHORIZATION_CODE.value: gettext("Iniciar la sesión de personas"),
        GrantType.CLIENT_CREDENTIALS.value: gettext("Actuar en su propio nombre"),
        GrantType.REFRESH_TOKEN.value: gettext("Renovar sus tokens"),
    }


def method_words() -> Mapping[str, str]:
    """Return how an application may prove itself."""
    return {
        ClientAuthMethod.BASIC.value: gettext("Secreto en la cabecera (client_secret_basic)"),
        ClientAuthMethod.POST.value: gettext("Secreto en el cuerpo (client_secret_post)"),
        ClientAuthMethod.PRIVATE_KEY_JWT.value: gettext("Clave privada propia (private_key_jwt)"),
    }


def format_words() -> Mapping[str, str]:
    """Return what the access tokens look like."""
    return {
        TokenFormat.OPAQUE.value: gettext("Opacos: cada uso se pregunta aquí"),
        TokenFormat.JWT.value: gettext("JWT: se leen sin preguntar"),
    }


def logout_state_words(state: LogoutState) -> str:
    """Return what became of a message."""
    words: dict[LogoutState, str] = {
        LogoutState.WAITING: gettext("En espera"),
        LogoutState.TOLD: gettext("Recibido"),
        LogoutState.FAILED: gettext("No recibido"),
    }
    return words[state]


def logout_cause_words(cause: str) -> str:
    """Return why an application was told; every end of a session that has no words is one."""
    words: dict[str, str] = {
        LogoutCause.RAN_OUT.value: gettext("La sesión caducó"),
        LogoutCause.ACCOUNT_DISABLED.value: gettext("Cuenta desactivada"),
        LogoutCause.ACCOUNT_CLOSING.value: gettext("Cierre pedido"),
        LogoutCause.ACCOUNT_CLOSED.value: gettext("Cuenta cerrada"),
        LogoutCause.GRANT_ENDED.value: gettext("La persona desconectó la aplicación"),
    }
    return words.get(cause) or str(gettext("Sesión cerrada"))


def fault_words(fault: Fault) -> str:
    """Return what is wrong with a setting and what to write instead."""
    words = {
        "name": gettext("Hace falta un nombre de 1 a 100 caracteres."),
        "sector": gettext("Solo letras, cifras, puntos y guiones, 100 como mucho."),
        "redirect_uris": gettext(
            "Tiene que empezar por https:// (o por http:// en localhost, 127.0.0.1 o [::1]), "
            "completa, sin «#» ni «*». Veinte como mucho."
        ),
        "post_logout_redirect_uris": gettext(
            "Tiene que empezar por https:// (o por http:// en localhost, 127.0.0.1 o [::1]), "
            "completa, sin «#» ni «*». Veinte como mucho."
        ),
        "audiences": gettext(
            "Tiene que ser una dirección completa (https, http o urn), sin «#». Veinte como mucho."
        ),
        "scopes": gettext(
            "El alcance openid y las direcciones de vuelta van juntos: hacen falta los dos o ninguno."
        ),
        "refresh": gettext(
            "Para renovar tokens hacen falta direcciones de vuelta y el alcance offline_access."
        ),
        "client_credentials": gettext(
            "Para actuar en su propio nombre hace falta algún alcance con dos puntos, como "
            "decisions:evaluate."
        ),
        "purposes": gettext("Alguna finalidad ya no está en el registro: hay que quitarla."),
        "ends_with_withdrawal": gettext("Hace falta elegir al menos una finalidad."),
        "token_format": gettext("Falta elegir cómo son los tokens de acceso."),
        "auth_methods": gettext("Falta elegir cómo demuestra la aplicación quién es."),
        "jwks": gettext(
            "Tiene que ser un conjunto JWK solo con claves públicas (RSA de 2048 bits o más, EC P-256 "
            "o Ed25519), diez como mucho, cada una con su kid. Una clave privada que se haya pegado "
            "aquí hay que cambiarla."
        ),
        "backchannel_logout_uri": gettext(
            "Tiene que empezar por https:// (o por http:// en localhost, 127.0.0.1 o [::1]), y la "
            "aplicación necesita direcciones de vuelta."
        ),
    }
    return f"{fault.value}: {words[fault.field]}" if fault.value else words[fault.field]
