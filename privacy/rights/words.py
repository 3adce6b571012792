"""Rights, states and fields in the words that people read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from babel import Locale
from flask_babel import format_datetime, gettext, ngettext

from policies.vocabulary import (
    Attribute,
    ConsentAction,
    ConsentChannel,
    EventTag,
    RetentionClass,
    Right,
    RightsState,
    Role,
    SaidBy,
)
from privacy.collection import words as collection_words
from privacy.consent import people_words
from privacy.consent.attachment_model import EXTENSIONS
from privacy.consent.guardian_model import Relation
from privacy.consent.words import channel_words, said_words
from privacy.desk import action_words
from privacy.languages import LANGUAGES, page_language
from privacy.rights.model import MAX_MESSAGE_LENGTH
from privacy.subjects.model import MAX_VALUE_LENGTH

attribute_name = collection_words.attribute_name

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
            "El dato correcto no puede quedar vacío ni pasar de %(most)s caracteres. "
            "Una fecha de nacimiento se escribe 1990-05-31, o solo el año.",
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
    if page_language() != "es":
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
        "action": {each.value: action_words(each) for each in ConsentAction},
        "relation": {each.value: people_words.relation(each) for each in Relation},
        "end": {
            "birthday": gettext("Cumplió la edad"),
            "desk": gettext("La terminó la empresa"),
            "guardian": gettext("La dejó la persona adulta"),
            "erased": gettext("Se borraron los datos"),
            "taken-back": gettext("La invitación se retiró"),
            "expired": gettext("La invitación caducó"),
        },
        "said_by": {each.value: said_words(each) for each in SaidBy},
        "media_type": {each: people_words.media(each) for each in EXTENSIONS},
        "outcome": {"permit": gettext("Se le dijo que sí"), "deny": gettext("Se le dijo que no")},
        "result": {"succeeded": gettext("Entraste"), "failed": gettext("No se pudo entrar")},
        "right": {each.value: right_name(each) for each in Right},
        "status": {
            "active": gettext("Activa"),
            "disabled": gettext("Desactivada"),
            "closing": gettext("Cerrándose"),
        },
        "manner": {"accepted": gettext("Aceptado"), "informed": gettext("Leído")},
        "attribute": {each.value: attribute_name(each) for each in Attribute},
        "answer": {"given": gettext("Dado"), "refused": gettext("No dado")},
        "role": {"person": gettext("Persona"), **_roles()},
        "by": {"system": gettext("Quien mantiene el sistema"), **_roles()},
        "event": {
            EventTag.ADMINISTRATION_ACCOUNT_LOOKED_UP: gettext("Consultar tu cuenta"),
            EventTag.ACCOUNTS_ACCOUNT_DISABLED: gettext("Desactivar tu cuenta"),
            EventTag.ACCOUNTS_ACCOUNT_ENABLED: gettext("Activar tu cuenta"),
            EventTag.ACCOUNTS_ROLE_GRANTED: gettext("Dar un papel a tu cuenta"),
            EventTag.ACCOUNTS_ROLE_REMOVED: gettext("Quitar un papel a tu cuenta"),
            EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED: gettext(
                "Iniciar un cambio de tu contraseña"
            ),
            EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED: gettext(
                "Iniciar la recuperación de tu segundo factor"
            ),
            EventTag.SESSIONS_SESSION_ENDED: gettext("Cerrar tus sesiones"),
        },
        "language": {each: str(Locale(each).display_name).capitalize() for each in LANGUAGES},
        "methods": {"pwd": gettext("Contraseña"), "otp": gettext("Segundo factor")},
        "recorded_by": {"person": gettext("La propia persona")},
        "channel": {each.value: channel_words(each) for each in ConsentChannel}
        | {each: channel_name(each) for each in ("portal", "form", "staff")},
        "state": {each.value: state_name(each) for each in RightsState},
    }


def _roles() -> Mapping[str, str]:
    return {
        Role.STAFF: gettext("Personal"),
        Role.DPO: gettext("Delegado de protección de datos"),
        Role.ADMINISTRATOR: gettext("Administración"),
    }


def _labels() -> Mapping[str, str]:
    return {
        "profile": gettext("Tu perfil"),
        "identities": gettext("Cuentas de otros sitios con las que entras"),
        "provider": gettext("De qué sitio"),
        "linked_at": gettext("Enlazada"),
        "access_requests": gettext("Qué consentimientos te han pedido las aplicaciones"),
        "answered_at": gettext("Cuándo respondiste"),
        "given": gettext("Aceptaste"),
        "never_again": gettext("Pediste que no te lo pregunten más"),
        "phones": gettext("Teléfonos"),
        "passkeys": gettext("Llaves de acceso"),
        "synced": gettext("Se copia entre tus aparatos"),
        "suspended_at": gettext("Suspendida"),
        "devices": gettext("Dispositivos"),
        "first_seen_at": gettext("Primera vez"),
        "trusted_until": gettext("De confianza hasta"),
        "risk_assessments": gettext("Qué valoramos cuando entraste"),
        "completed": gettext("Terminaste de entrar"),
        "said_by": gettext("Quién lo dijo"),
        "follows": gettext("Sigue a la prueba"),
        "carries": gettext("Continúa la prueba"),
        "attachment": gettext("Huella del fichero adjunto"),
        "account": gettext("Tu cuenta"),
        "consents": gettext("Tus consentimientos"),
        "decisions": gettext("Quién ha preguntado si podía usar tus datos"),
        "uses": gettext("Quién ha preguntado si podía usar tus datos"),
        "rights_requests": gettext("Tus solicitudes"),
        "sign_ins": gettext("Inicios de sesión"),
        "sessions": gettext("Sesiones"),
        "acts_of_staff": gettext("Lo que hicimos en tu cuenta"),
        "event": gettext("Qué"),
        "by": gettext("Quién"),
        "reason": gettext("Por qué"),
        "cause": gettext("Motivo"),
        "known_since": gettext("Te conocemos desde"),
        "minor_until": gettext("Sin edad para aceptar hasta"),
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
        "birthdate": gettext("Fecha de nacimiento"),
        "locale": gettext("Idioma"),
        "applications": gettext("En qué aplicaciones entras con tu cuenta"),
        "last_used_at": gettext("Último uso"),
        "asked_at": gettext("Cuándo te preguntamos"),
        "scope": gettext("Qué puede pedir"),
        "claims": gettext("Qué datos ha pedido uno por uno"),
        "email": gettext("Correo electrónico"),
        "attribute_requests": gettext("Qué te han preguntado las aplicaciones"),
        "collection_point": gettext("Formulario"),
        "suppression": gettext("De qué publicidad te mantenemos fuera"),
        "suppressed": gettext("Por tu oposición"),
        "wanted": gettext("La que quieres aunque te opusieras a toda"),
        "exclusion_lists": gettext("Listas de exclusión en las que estás"),
        "attachments": gettext("Pruebas adjuntas a lo que dijiste"),
        "files": gettext("Ficheros"),
        "name": gettext("Nombre"),
        "media_type": gettext("Tipo de fichero"),
        "sha256": gettext("Huella del fichero"),
        "added_at": gettext("Adjuntado"),
        "content": gettext("Contenido"),
        "guardianships": gettext("Quién decide por quién"),
        "guardians": gettext("Quién decide por ti"),
        "children": gettext("Por quién decides tú"),
        "files_of_others": gettext("Documentos que ha mostrado quien decide o habla por ti"),
        "withheld": gettext("Por qué no va la copia"),
        "facts": gettext("Lo que hemos anotado de ti"),
        "noted": gettext("Anotaciones"),
        "what": gettext("Qué"),
        "until": gettext("Hasta"),
        "recorded_at": gettext("Anotado"),
        "relation": gettext("Relación"),
        "invited": gettext("Dirección invitada"),
        "invited_at": gettext("Invitación"),
        "accepted_at": gettext("Aceptada"),
        "ended_at": gettext("Terminó"),
        "end": gettext("Por qué terminó"),
        "browser_signals": gettext("Señales de tu navegador"),
        "signals": gettext("Señales"),
        "gpc": gettext("Global Privacy Control"),
        "source": gettext("Por dónde"),
        "fields": gettext("Datos"),
        "attribute": gettext("Dato"),
        "answer": gettext("Qué respondiste"),
        "acknowledgements": gettext("Las condiciones aceptadas y la información leída"),
        "put_off": gettext("Lo que dejaste para después"),
        "manner": gettext("Qué pasó"),
        "version": gettext("Versión"),
        "digest": gettext("Huella del aviso"),
        "role": gettext("Papel"),
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
