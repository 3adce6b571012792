"""What the desk's pages about one person say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_date, gettext

from policies.errors import Conflict, DomainError, Forbidden
from policies.vocabulary import ConsentChannel, SaidBy
from privacy.consent.guardian_model import (
    MAX_OPEN_INVITATIONS,
    Guardianship,
    GuardianshipEnd,
    Relation,
    TooManyInvitations,
    TooManyOpen,
)
from privacy.consent.refusals import DeceasedPerson
from privacy.consent.representation import Said


def _(message: str, **values: object) -> str:
    """The message in the page's language."""
    return str(gettext(message, **values))


def done(act: str) -> str:
    """What has just been done."""
    return {
        "restrict": _("El tratamiento queda limitado desde ahora."),
        "announce": _("Queda anotado que se avisa a la persona."),
        "lift": _("La limitación queda levantada desde ahora."),
        "deceased": _("El fallecimiento queda anotado: desde ahora no se usa ningún dato."),
        "alive": _("El fallecimiento anotado queda corregido."),
        "invite": _("La invitación sale por correo."),
        "prove": _("La persona adulta ya puede consentir por el menor."),
        "end": _("La tutela queda terminada, y lo que se aceptó en ella deja de valer."),
    }.get(act, "")


@dataclass(frozen=True, slots=True)
class Act:
    """The page of one act: its title, what it does, and its button."""

    title: str
    text: str
    button: str
    is_final: bool = False


def act(name: str) -> Act:
    """What the page of an act says."""
    return {
        "restrict": Act(
            _("Limitar el tratamiento"),
            _(
                "Desde ese momento los datos solo se guardan: a la aplicación que pregunte se le "
                "contesta que no puede usarlos (RGPD, artículo 18)."
            ),
            _("Limitar"),
        ),
        "announce": Act(
            _("Avisar de que se levanta la limitación"),
            _(
                "La persona tiene que saberlo antes (RGPD, artículo 18.3). Le escribimos, y a los "
                "tres días la limitación se puede levantar."
            ),
            _("Avisar"),
        ),
        "lift": Act(
            _("Levantar la limitación"),
            _("Desde ese momento vuelve a valer lo que la persona haya dicho."),
            _("Levantar"),
        ),
        "deceased": Act(
            _("Anotar un fallecimiento"),
            _(
                "Desde ese momento, a la aplicación que pregunte se le contesta que no puede usar "
                "sus datos. Comprueba antes el certificado o la prueba que lo acredita."
            ),
            _("Anotar el fallecimiento"),
            is_final=True,
        ),
        "alive": Act(
            _("Corregir un fallecimiento anotado por error"),
            _("Desde ese momento vuelve a valer lo que la persona haya dicho."),
            _("Corregir"),
        ),
        "invite": Act(
            _("Invitar a su madre, padre o tutor"),
            _("Recibe un correo con un enlace, y acepta con su propia cuenta en 14 días."),
            _("Invitar"),
        ),
        "prove": Act(
            _("Anotar una tutela comprobada"),
            _(
                "La persona adulta ha mostrado quién es y que tiene la patria potestad o la "
                "tutela. La prueba se guarda cifrada."
            ),
            _("Anotar"),
        ),
        "end": Act(
            _("Terminar la tutela"),
            _("Lo que esa persona aceptó por el menor deja de valer en ese momento."),
            _("Terminar"),
            is_final=True,
        ),
    }[name]


def faults(error: DomainError) -> list[tuple[str | None, str]]:
    """What is wrong with a form, at its field."""
    return [(error.field, fault(error))]


def fault(error: DomainError) -> str:
    """What is wrong, in words."""
    if isinstance(error, Forbidden):
        return _(
            "Tiene que ser una persona adulta distinta del menor, con cuenta y dirección probada."
        )
    if isinstance(error, DeceasedPerson):
        return _("Consta que la persona ha fallecido: solo se puede anotar un no.")
    if isinstance(error, TooManyOpen):
        return _(
            "Ya hay %(most)s invitaciones sin responder. Retira una o espera a que la acepten.",
            most=MAX_OPEN_INVITATIONS,
        )
    if isinstance(error, TooManyInvitations):
        return _(
            "Hoy no se pueden enviar más invitaciones a esa dirección o en nombre de esta persona."
            " Prueba mañana."
        )
    if isinstance(error, Conflict):
        return _("Ahora no se puede: revisa cómo está y vuelve a intentarlo.")
    words = {
        "reason": _("Escribe el motivo, en 500 caracteres como mucho."),
        "told": _("Escribe cómo se ha avisado a la persona: no tenemos un correo suyo comprobado."),
        "email": _("Escribe una dirección de correo que no sea la del menor."),
        "evidence": _("Adjunta un PDF, una foto (JPEG o PNG) o un texto de 5 MB como mucho."),
        "relation": _("Elige qué relación tiene con el menor."),
        "who": _("Escribe quién es."),
        "authority": _("Escribe en calidad de qué habla por la persona."),
        "note": _("Escribe cómo lo dijo, o adjunta la prueba."),
        "said_on": _("Escribe el día en que lo dijo; no puede ser futuro."),
        "said_by": _("Elige quién lo dijo. Un tutor solo puede hablar por un menor."),
        "said": _("Elige qué dijo."),
        "channel": _("Elige por qué vía llegó."),
        "purpose": _("Elige una finalidad en la que eso se pueda decir."),
        "notice_version": _("Esa versión del aviso no estaba publicada ese día."),
        "language": _("El aviso no se publicó en ese idioma."),
    }
    return words.get(error.field or "", _("Revisa lo que has escrito."))


def status(error: DomainError) -> int:
    """The HTTP status of a form that was refused."""
    return 409 if isinstance(error, Conflict) else 422


def relation(value: Relation | None) -> str:
    """What a guardian is to a child."""
    if value is None:
        return _("Sin responder")
    return {
        Relation.PARENT: _("Madre o padre"),
        Relation.GUARDIAN: _("Tutora o tutor legal"),
    }[value]


def guardianship(each: Guardianship, now: datetime | None = None) -> str:
    """How a guardianship stands."""
    if each.end is not None and each.ended_at is not None:
        ended = {
            GuardianshipEnd.BIRTHDAY: _("Terminó al cumplir la edad"),
            GuardianshipEnd.DESK: _("Terminada por la empresa"),
            GuardianshipEnd.GUARDIAN: _("La dejó la persona adulta"),
            GuardianshipEnd.ERASED: _("Terminó al borrarse los datos"),
            GuardianshipEnd.TAKEN_BACK: _("Invitación retirada"),
            GuardianshipEnd.EXPIRED: _("Invitación caducada"),
        }
        return f"{ended[each.end]} ({format_date(each.ended_at, 'long')})"
    if each.accepted_at is not None:
        return _("Desde el %(date)s", date=format_date(each.accepted_at, "long"))
    if now is not None and now >= each.invitation_ends_at:
        return _("Invitación caducada")
    return _(
        "Invitada; puede aceptar hasta el %(date)s",
        date=format_date(each.invitation_ends_at, "long"),
    )


def media(media_type: str) -> str:
    """What sort of file it is."""
    return {
        "application/pdf": _("Documento PDF"),
        "image/jpeg": _("Foto JPEG"),
        "image/png": _("Imagen PNG"),
        "text/plain": _("Texto"),
    }.get(media_type, media_type)


def said(value: Said) -> str:
    """What can be said of a purpose."""
    return {
        Said.GIVEN: _("Acepta"),
        Said.REFUSED: _("Rechaza"),
        Said.WITHDRAWN: _("Retira lo que aceptó"),
        Said.OBJECTED: _("Se opone"),
    }[value]


def speaker(value: SaidBy) -> str:
    """Who can say it at the desk."""
    return {
        SaidBy.STAFF: _("La propia persona, y lo anota el personal"),
        SaidBy.REPRESENTATIVE: _("Quien la representa"),
        SaidBy.GUARDIAN: _("Su madre, padre o tutor"),
    }[value]


def way(value: ConsentChannel) -> str:
    """By which way it reached the desk."""
    return {
        ConsentChannel.PHONE: _("Por teléfono"),
        ConsentChannel.STORE: _("En la tienda"),
        ConsentChannel.POST: _("Por correo postal"),
    }[value]
