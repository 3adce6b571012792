"""Rights, states and fields in the words that people read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from babel import Locale
from flask_babel import format_datetime, get_locale, gettext, ngettext

from policies.vocabulary import ConsentChannel, RetentionClass, Right, RightsState
from privacy.consent.words import channel_words
from privacy.languages import LANGUAGES
from privacy.rights.model import MAX_MESSAGE_LENGTH
from privacy.subjects.model import MAX_VALUE_LENGTH, Attribute

_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")


def right_name(right: str) -> str:
    """Return the law's name of a right."""
    names: dict[str, str] = {
        Right.ACCESS: gettext("Derecho de acceso"),
        Right.RECTIFICATION: gettext("Derecho de rectificación"),
        Right.ERASURE: gettext("Derecho de supresión"),
        Right.OBJECTION: gettext("Derecho de oposición"),
        Right.RESTRICTION: gettext("Derecho a la limitación del tratamiento"),
        Right.PORTABILITY: gettext("Derecho a la portabilidad"),
        Right.NO_AUTOMATED_DECISION: gettext("Derecho a no ser objeto de decisiones automatizadas"),
    }
    return names[Right(right)]


def right_plain(right: str) -> str:
    """Return what a person would call it."""
    names: dict[str, str] = {
        Right.ACCESS: gettext("Ver mis datos"),
        Right.RECTIFICATION: gettext("Corregir un dato"),
        Right.ERASURE: gettext("Borrar mis datos"),
        Right.OBJECTION: gettext("Que dejéis de usar mis datos para algo"),
        Right.RESTRICTION: gettext("Que guardéis mis datos sin usarlos"),
        Right.PORTABILITY: gettext("Llevarme mis datos a otro sitio"),
        Right.NO_AUTOMATED_DECISION: gettext("Que una persona revise una decisión"),
    }
    return names[Right(right)]


def state_name(state: str) -> str:
    """Return where a request stands."""
    names: dict[str, str] = {
        RightsState.UNVERIFIED: gettext("Sin confirmar"),
        RightsState.OPEN: gettext("Abierta"),
        RightsState.FULFILLED: gettext("Atendida"),
        RightsState.REFUSED: gettext("Denegada"),
        RightsState.EXPIRED: gettext("Caducada sin confirmar"),
    }
    return names[RightsState(state)]


def state_tone(state: str) -> str:
    """Return the colour that goes with it."""
    return {RightsState.OPEN: "on", RightsState.FULFILLED: "good"}.get(RightsState(state), "off")


def channel_name(channel: str) -> str:
    """Return by which way a request came."""
    names: dict[str, str] = {
        "portal": gettext("Portal, con sesión iniciada"),
        "form": gettext("Formulario público"),
        "staff": gettext("Registrada por una aplicación"),
    }
    return names[channel]


def attribute_name(attribute: str) -> str:
    """Return the name of a profile field."""
    names: dict[str, str] = {
        Attribute.GIVEN_NAME: gettext("Nombre"),
        Attribute.FAMILY_NAME: gettext("Apellidos"),
        Attribute.PHONE: gettext("Teléfono"),
        Attribute.POSTAL_ADDRESS: gettext("Dirección postal"),
        Attribute.LOCALE: gettext("Idioma"),
    }
    return names[Attribute(attribute)]


def kept_name(retention: str) -> str:
    """Return what is kept after an erasure, and why."""
    names: dict[str, str] = {
        RetentionClass.CONSENT_EVIDENCE: gettext(
            "La prueba de lo que aceptaste y retiraste, para poder demostrarlo"
        ),
        RetentionClass.RIGHTS_FILE: gettext(
            "Tus solicitudes y nuestras respuestas, para poder demostrar que te atendimos"
        ),
        RetentionClass.SECURITY_TRAIL: gettext("El registro de accesos, para investigar abusos"),
        RetentionClass.BLOCKED_CASE: gettext(
            "Lo que haya quedado bloqueado a disposición de jueces y autoridades"
        ),
        RetentionClass.PROFILE: gettext("Tu perfil"),
    }
    return names[RetentionClass(retention)]


def fault_words(field: str) -> str:
    """Return what a field accepts, for whoever filled it in otherwise."""
    names: dict[str, str] = {
        "right": gettext("Elige qué quieres pedir."),
        "email": gettext("Escribe una dirección de correo como nombre@ejemplo.es."),
        "attribute": gettext("Elige qué dato hay que corregir."),
        "value": gettext(
            "El dato correcto no puede quedar vacío ni pasar de %(most)s caracteres.",
            most=MAX_VALUE_LENGTH,
        ),
        "purpose": gettext("Elige a qué uso de tus datos te opones."),
        "message": gettext(
            "Explica qué pides, con %(most)s caracteres como mucho.", most=MAX_MESSAGE_LENGTH
        ),
        "code": gettext("Ese no es el código. Cópialo del correo: son ocho cifras."),
        "text": gettext(
            "La respuesta no puede quedar vacía ni pasar de %(most)s caracteres.",
            most=MAX_MESSAGE_LENGTH,
        ),
    }
    return names[field]


def days_left_words(days: int) -> str:
    """Return how long is left until the last day."""
    if days < 0:
        return str(ngettext("%(num)s día tarde", "%(num)s días tarde", -days))
    if days == 0:
        return str(gettext("Vence hoy"))
    return str(ngettext("%(num)s día", "%(num)s días", days))


def article_words(article: str) -> str:
    """Return the articles that a rule names as the page's language writes them."""
    if str(get_locale() or "es") != "es":
        return article
    dotted = re.sub(r"\((\w+)\)", r".\1", article.replace("GDPR", "RGPD"))
    return dotted.replace(" Art. ", ", art. ")


def legal_basis_name(basis: str) -> str:
    """Return why a purpose is lawful."""
    names: dict[str, str] = {
        "consent": gettext("Tu consentimiento"),
        "contract": gettext("Un contrato contigo"),
        "legal-obligation": gettext("Una obligación legal"),
        "legitimate-interests": gettext("Un interés legítimo"),
        "public-task": gettext("Una misión de interés público"),
        "vital-interests": gettext("Proteger la vida de alguien"),
    }
    return names[basis]


def data_label(key: str) -> str:
    """Return the heading of a member of the access answer; its own name where none is fixed."""
    return _labels().get(key, key.replace("_", " ").replace("-", " ").capitalize())


def data_value(value: object, key: str = "") -> str:
    """Return a member's value as people read it: instants and codes in words, yes and no."""
    if isinstance(value, bool):
        return str(gettext("Sí") if value else gettext("No"))
    if value is None or value == "":
        return "—"
    text = str(value)
    if _INSTANT.fullmatch(text):
        return str(format_datetime(datetime.fromisoformat(text), "long"))
    return _codes().get(key, {}).get(text, text)


def _codes() -> Mapping[str, Mapping[str, str]]:
    return {
        "action": {
            "given": gettext("Aceptado"),
            "refused": gettext("Rechazado"),
            "withdrawn": gettext("Retirado"),
        },
        "outcome": {"permit": gettext("Se le dijo que sí"), "deny": gettext("Se le dijo que no")},
        "result": {"succeeded": gettext("Entraste"), "failed": gettext("No se pudo entrar")},
        "right": {each.value: right_name(each) for each in Right},
        "status": {"active": gettext("Abierta")},
        "role": {"person": gettext("Persona")},
        "language": {each: str(Locale(each).display_name).capitalize() for each in LANGUAGES},
        "methods": {"pwd": gettext("Contraseña"), "otp": gettext("Segundo factor")},
        "recorded_by": {"person": gettext("La propia persona")},
        "channel": {each.value: channel_words(each) for each in ConsentChannel}
        | {each: channel_name(each) for each in ("portal", "form", "staff")},
        "state": {each.value: state_name(each) for each in RightsState},
    }


def _labels() -> Mapping[str, str]:
    return {
        "profile": gettext("Tu perfil"),
        "account": gettext("Tu cuenta"),
        "consents": gettext("Tus consentimientos"),
        "decisions": gettext("Quién ha preguntado si podía usar tus datos"),
        "uses": gettext("Quién ha preguntado si podía usar tus datos"),
        "rights_requests": gettext("Tus solicitudes"),
        "sign_ins": gettext("Inicios de sesión"),
        "sessions": gettext("Sesiones"),
        "known_since": gettext("Te conocemos desde"),
        "emails": gettext("Correos electrónicos"),
        "addresses": gettext("Correos electrónicos"),
        "attributes": gettext("Lo que nos has contado de ti"),
        "pseudonyms": gettext("Con qué nombre te conoce cada aplicación"),
        "application": gettext("Aplicación"),
        "pseudonym": gettext("Seudónimo"),
        "since": gettext("Desde"),
        "requests": gettext("Solicitudes"),
        "events": gettext("Lo que decidiste"),
        "objections": gettext("A qué te opones"),
        "purpose": gettext("Finalidad"),
        "action": gettext("Qué pasó"),
        "at": gettext("Cuándo"),
        "created_at": gettext("Desde"),
        "text": gettext("Texto exacto que se te mostró"),
        "notice": gettext("Aviso"),
        "notice_version": gettext("Versión del aviso"),
        "language": gettext("Idioma"),
        "channel": gettext("Por dónde"),
        "expires_at": gettext("Caduca"),
        "reference": gettext("Referencia"),
        "right": gettext("Derecho"),
        "state": gettext("Estado"),
        "status": gettext("Estado"),
        "received_at": gettext("Recibida"),
        "closed_at": gettext("Cerrada"),
        "contact": gettext("Dirección de respuesta"),
        "message": gettext("Mensaje"),
        "detail": gettext("Detalle"),
        "outcome": gettext("Respuesta"),
        "day": gettext("Día"),
        "count": gettext("Veces"),
        "address": gettext("Dirección de red"),
        "given_name": gettext("Nombre"),
        "family_name": gettext("Apellidos"),
        "phone": gettext("Teléfono"),
        "postal_address": gettext("Dirección postal"),
        "role": gettext("Función"),
        "result": gettext("Resultado"),
        "failed_factor": gettext("Qué falló"),
        "network": gettext("Dirección de red"),
        "browser": gettext("Navegador"),
        "user_agent": gettext("Navegador"),
        "began_at": gettext("Desde"),
        "last_seen_at": gettext("Último uso"),
        "password_changed_at": gettext("Contraseña cambiada"),
        "second_factor_since": gettext("Segundo factor desde"),
        "notice_digest": gettext("Huella del aviso"),
        "register_revision": gettext("Revisión del registro de finalidades"),
        "event_id": gettext("Identificador de la prueba"),
        "entry_id": gettext("Identificador en el registro de auditoría"),
        "recorded_by": gettext("Anotado por"),
        "explicit": gettext("Consentimiento explícito"),
        "methods": gettext("Cómo te identificaste"),
    }


#: What templates and letters may call.
TEMPLATE_FUNCTIONS: Final = (
    article_words,
    right_name,
    right_plain,
    state_name,
    state_tone,
    channel_name,
    attribute_name,
    kept_name,
    legal_basis_name,
    days_left_words,
    data_label,
    data_value,
)
