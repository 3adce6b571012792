"""The reasons of a decision in plain words, for people; `docs/reasons/` explains each to callers."""

from __future__ import annotations

from flask_babel import gettext

from policies.vocabulary import DecisionReason


def reason_words(reason: DecisionReason) -> str:
    """Why it was permitted or denied, as one sentence."""
    words = {
        DecisionReason.CONSENT_GIVEN: gettext("Había un consentimiento en vigor."),
        DecisionReason.CONTRACT: gettext("Hacía falta para el contrato."),
        DecisionReason.LEGAL_OBLIGATION: gettext("Lo exigía la ley."),
        DecisionReason.LEGITIMATE_INTEREST: gettext("Había un interés legítimo, sin oposición."),
        DecisionReason.NO_CONSENT: gettext("No había ningún consentimiento que lo cubriera."),
        DecisionReason.CONSENT_REFUSED: gettext("La persona lo había rechazado."),
        DecisionReason.CONSENT_WITHDRAWN: gettext("La persona había retirado el consentimiento."),
        DecisionReason.CONSENT_EXPIRED: gettext("El consentimiento había caducado."),
        DecisionReason.CONSENT_REVOKED: gettext("La empresa había puesto fin al consentimiento."),
        DecisionReason.CONSENT_INVALIDATED: gettext("El consentimiento se había declarado nulo."),
        DecisionReason.NOTICE_CHANGED: gettext("El aviso había cambiado desde que aceptó."),
        DecisionReason.OBJECTED: gettext("La persona se había opuesto."),
        DecisionReason.SUPPRESSED: gettext("Su dirección estaba en una lista de exclusión."),
        DecisionReason.RESTRICTED: gettext("El tratamiento de sus datos estaba limitado."),
        DecisionReason.BLOCKED: gettext("Sus datos estaban bloqueados."),
        DecisionReason.DECEASED: gettext("Constaba que la persona había fallecido."),
        DecisionReason.MINOR_WITHOUT_GUARDIAN: gettext(
            "No tenía edad para consentir y nadie con autoridad había consentido por ella."
        ),
        DecisionReason.UNVERIFIED_PERSON: gettext("Nadie había probado que la dirección era suya."),
        DecisionReason.UNKNOWN_PERSON: gettext("No constaba nadie, o sus datos se habían borrado."),
        DecisionReason.UNKNOWN_PURPOSE: gettext("La finalidad no estaba en vigor."),
        DecisionReason.STATE_UNREADABLE: gettext("Lo guardado no se puede leer entero."),
    }
    return str(words.get(reason, reason.value))
