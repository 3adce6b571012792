"""What people read where an outside provider's answer was not taken: what happened, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask_babel import gettext

from identity.sso.model import Refusal

#: The person, or their browser, can mend it; everything else is the provider's or an attacker's doing.
_OF_THE_BROWSER: Final = frozenset(
    {
        Refusal.DENIED,
        Refusal.RESPONSE_MALFORMED,
        Refusal.STATE_MISSING,
        Refusal.STATE_UNKNOWN,
        Refusal.STATE_USED,
        Refusal.STATE_EXPIRED,
        Refusal.OTHER_BROWSER,
        Refusal.MIXED_UP,
    }
)
_AWAY_TOO_LONG: Final = frozenset(
    {Refusal.STATE_UNKNOWN, Refusal.STATE_USED, Refusal.STATE_EXPIRED}
)
_NOT_BEGUN_HERE: Final = frozenset({Refusal.STATE_MISSING, Refusal.OTHER_BROWSER})
_DOES_NOT_ANSWER: Final = frozenset(
    {
        Refusal.PROVIDER_ERROR,
        Refusal.PROVIDER_UNREACHABLE,
        Refusal.CODE_REFUSED,
        Refusal.TOKEN_ANSWER_MALFORMED,
    }
)


@dataclass(frozen=True, slots=True)
class RefusalWords:
    """The words of a page.

    Attributes:
        status: 400 where the browser brought what we do not take; 502 where the provider's own
            answer is wrong or missing. Source: RFC 9110 s. 15.5.1, 15.6.3.
        heading: what happened.
        text: why, in plain words.
        advice: what to do now.
    """

    status: int
    heading: str
    text: str
    advice: str


def words_of(reason: Refusal, provider: str) -> RefusalWords:
    """Return the words of a refusal.

    Args:
        reason: why.
        provider: what people call the provider.
    """
    status = 400 if reason in _OF_THE_BROWSER else 502
    if reason is Refusal.DENIED:
        return RefusalWords(
            status,
            gettext("No has entrado con %(provider)s", provider=provider),
            gettext("En %(provider)s se ha elegido no seguir.", provider=provider),
            gettext("Si quieres entrar, empieza otra vez o elige otra forma."),
        )
    if reason in _AWAY_TOO_LONG:
        return RefusalWords(
            status,
            gettext("Este paso ya no vale"),
            gettext(
                "De %(provider)s se vuelve una sola vez, y en diez minutos como mucho.",
                provider=provider,
            ),
            gettext("Empieza otra vez."),
        )
    if reason in _NOT_BEGUN_HERE:
        return RefusalWords(
            status,
            gettext("Esto no empezó en este navegador"),
            gettext(
                "Solo puede terminar de entrar quien empezó, en el mismo navegador y con la misma "
                "sesión. Quizá abriste un enlace que no era tuyo, o tu navegador no guarda cookies."
            ),
            gettext("Empieza otra vez desde aquí. Si no empezaste tú, no hagas nada más."),
        )
    if reason in _DOES_NOT_ANSWER:
        return RefusalWords(
            status,
            gettext("Ahora no se puede entrar con %(provider)s", provider=provider),
            gettext("%(provider)s no responde, o responde con un error.", provider=provider),
            gettext("Prueba otra vez dentro de un rato, o entra de otra forma."),
        )
    return RefusalWords(
        status,
        gettext("No podemos fiarnos de esta respuesta"),
        gettext(
            "Lo que ha llegado de %(provider)s no pasa nuestras comprobaciones. Por tu seguridad "
            "no lo usamos.",
            provider=provider,
        ),
        gettext("Entra de otra forma. Si se repite, escríbenos."),
    )
