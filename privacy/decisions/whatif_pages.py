"""The desk's page of the register: the one in force, and what a prepared one would change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Blueprint, render_template, request
from flask_babel import gettext

from policies.register.difference import ChangeKind, FieldChange
from policies.register.linter import lint
from policies.register.loader import load
from policies.register.model import Register
from policies.register.problems import RegisterError
from policies.vocabulary import DecisionReason, Scope
from privacy.consent.words import title_of
from privacy.decisions.whatif import WhatIf, what_if
from privacy.desk import DESK_SECTIONS
from privacy.http import requires
from privacy.unit_of_work import Runtime

HOME: Final = "/dpo/register"
LONGEST: Final = 200
"""So much of a field's value stands in the table; the command prints the whole."""


@dataclass(frozen=True, slots=True)
class RegisterPages:
    """The page, and what it works with.

    Attributes:
        folder: where prepared registers lie, each in a folder of its own; may be missing.
    """

    runtime: Runtime
    register: Register
    folder: Path

    def show(self, chosen: str) -> str | tuple[str, int]:
        """Return the page, with what the chosen candidate would change."""
        names = self._candidates()
        found: WhatIf | None = None
        candidate: Register | None = None
        problems: list[str] = []
        if chosen in names:
            try:
                candidate = load(self.folder / chosen)
            except RegisterError as error:
                problems = [str(each) for each in error.problems]
        if candidate is not None:
            problems = [str(each) for each in lint(candidate) if each.level == "error"]
            with self.runtime.snapshot() as session:
                found = what_if(session, self.register, candidate, self.runtime.clock())
        wrong = gettext("Elige una de las carpetas de la lista.")
        errors = [("candidate", wrong)] if chosen and chosen not in names else []
        page = render_template(
            "decisions/register.html",
            desk_sections=DESK_SECTIONS,
            register=self.register,
            folder=self.folder.name,
            candidates=[(each, each) for each in names],
            chosen=chosen,
            found=found,
            problems=problems,
            errors=errors,
            wrong=wrong if errors else None,
            title_of=lambda unit: title_of(
                self.register if unit in self.register.purposes else candidate or self.register,
                unit,
            ),
            kind_words=kind_words,
            reason_words=effect_words,
            value_words=value_words,
        )
        return (page, 404) if errors else page

    def _candidates(self) -> list[str]:
        """The names of the folders that hold a prepared register."""
        try:
            folders = sorted(self.folder.iterdir())
        except OSError:
            return []
        return [each.name for each in folders if each.is_dir() and not each.name.startswith(".")]


def kind_words(kind: ChangeKind) -> str:
    """What became of an entry."""
    return str(
        {
            ChangeKind.ADDED: gettext("Nueva"),
            ChangeKind.REMOVED: gettext("Quitada"),
            ChangeKind.CHANGED: gettext("Cambiada"),
        }[kind]
    )


def value_words(change: FieldChange) -> tuple[str, str]:
    """A field's value before and after, cut where it is long."""
    before, after = (
        json.dumps(each, ensure_ascii=False, sort_keys=True)
        for each in (change.before, change.after)
    )
    return _cut(before), _cut(after)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def effect_words(reason: DecisionReason) -> str:
    """Why a permit would be lost, or on what ground one would be gained."""
    words = {
        DecisionReason.UNKNOWN_PURPOSE: gettext("La finalidad deja de estar en vigor"),
        DecisionReason.NOTICE_CHANGED: gettext("El aviso cambia y hay que preguntar de nuevo"),
        DecisionReason.NO_CONSENT: gettext("Haría falta un consentimiento que no hay"),
        DecisionReason.CONSENT_REFUSED: gettext("Lo rechazaron"),
        DecisionReason.CONSENT_WITHDRAWN: gettext("Retiraron el consentimiento"),
        DecisionReason.CONSENT_EXPIRED: gettext("El consentimiento caducó"),
        DecisionReason.OBJECTED: gettext("Se opusieron"),
        DecisionReason.SUPPRESSED: gettext("Están en una lista de exclusión"),
        DecisionReason.MINOR_WITHOUT_GUARDIAN: gettext("Son menores sin quien decida por ellos"),
        DecisionReason.UNVERIFIED_PERSON: gettext("No han demostrado que la dirección es suya"),
        DecisionReason.CONSENT_GIVEN: gettext("Tienen un consentimiento en vigor"),
        DecisionReason.CONTRACT: gettext("Por el contrato"),
        DecisionReason.LEGAL_OBLIGATION: gettext("Por obligación legal"),
        DecisionReason.LEGITIMATE_INTEREST: gettext("Por interés legítimo"),
    }
    return str(words.get(reason, reason.value))


def blueprint(pages: RegisterPages) -> Blueprint:
    """Return the page."""
    routes = Blueprint("register_pages", __name__)

    @routes.get(HOME)
    @requires(Scope.DESK)
    def show() -> str | tuple[str, int]:
        """Show the register in force, and what a prepared one would change."""
        return pages.show(request.args.get("candidate", ""))

    return routes
