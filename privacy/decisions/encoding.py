"""The bytes of an answer, without making its JSON anew: most differ in instants and one id only.

A form is an answer as the ordinary way renders it, with gaps for those. So the bytes are the ordinary
way's own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from privacy.clock import rfc3339
from privacy.decisions.instants import rfc3339_of
from privacy.decisions.model import Answer
from privacy.decisions.rendering import MAY_ASK_FOR

_MAY_ASK_FOR: Final = MAY_ASK_FOR // timedelta(microseconds=1)
_EVIDENCE_GAP: Final = "*evidence*"
#: Instants that nothing ends at.
_NOW_GAP: Final = datetime(1, 1, 1, tzinfo=UTC)
_VALID_UNTIL_GAP: Final = datetime(1, 1, 2, tzinfo=UTC)
_GAPS: Final = re.compile(
    b"(%b|%b|%b)"
    % tuple(
        re.escape(gap.encode())
        for gap in (_EVIDENCE_GAP, rfc3339(_VALID_UNTIL_GAP), rfc3339(_NOW_GAP + MAY_ASK_FOR))
    )
)


@dataclass(frozen=True, slots=True)
class Form:
    """An answer with its gaps.

    Attributes:
        permit: what it answers.
        template: its JSON, to be filled by `%`: first, where the person may be asked, until when;
            then the evidence id; then, where the answer ends by the clock, when.
        may_ask: there is the first gap.
        ends: there is the last.
    """

    permit: bool
    template: bytes
    may_ask: bool
    ends: bool

    def __hash__(self) -> int:
        """Return the template's, which bytes work out once."""
        return hash(self.template)

    def fill(self, evidence: bytes, now: int, until: int) -> bytes:
        """Return the answer's JSON.

        Args:
            evidence: the evidence id.
            now: when it is given, in microseconds since 1970.
            until: when it ends by the clock, likewise; of no account where none runs.
        """
        if self.ends:
            return self.template % (evidence, rfc3339_of(until))
        if self.may_ask:
            return self.template % (rfc3339_of(now + _MAY_ASK_FOR), evidence)
        return self.template % (evidence,)


class Forms:
    """The forms of all answers that were given so far, by number."""

    def __init__(self, render: Callable[[Answer, datetime], bytes], most: int) -> None:
        """Begin without any.

        Args:
            render: the ordinary way's own JSON of an answer that is given at an instant.
            most: how many may be told apart.
        """
        self._render = render
        self._most = most
        self._lock = threading.Lock()
        self._numbers: dict[Form, int] = {}
        #: By number; only to be read.
        self.all: list[Form] = []
        #: Of answers to plain questions without duties: all that their form depends on.
        self._usual: dict[tuple[object, ...], Form] = {}

    def number_of(self, form: Form) -> int | None:
        """Return the number of a form; None: there are too many already."""
        with self._lock:
            number = self._numbers.get(form)
            if number is None and len(self.all) < self._most:
                number = self._numbers[form] = len(self.all)
                self.all.append(form)
            return number

    def form_of(self, answer: Answer) -> Form:
        """Return the form of an answer."""
        decision = answer.decision
        ends = decision.valid_until is not None
        usual = None
        if not decision.obligations:
            usual = decision.permit, decision.reasons, answer.may_ask, ends
            form = self._usual.get(usual)
            if form is not None:
                return form
        if ends:
            decision = replace(decision, valid_until=_VALID_UNTIL_GAP)
        blank = replace(answer, decision=decision, evidence_id=_EVIDENCE_GAP)
        text = self._render(blank, _NOW_GAP).replace(b"%", b"%%")
        form = Form(decision.permit, _GAPS.sub(b"%b", text), answer.may_ask, ends)
        if usual is not None:
            self._usual[usual] = form
        return form
