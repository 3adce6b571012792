"""Which register was in force when, with its wordings and its rules, whatever becomes of the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.decision import ObligationRule, ObligationType, PurposeRule
from policies.register.model import NoticeRevision, Register
from policies.register.notices import NOTICES_FOLDER
from policies.register.problems import Problem, RegisterError
from policies.vocabulary import LegalBasis
from privacy.consent import store
from privacy.consent.model import RegisterPublished, purpose_rule
from privacy.consent.receipt_store import keep_descriptions
from privacy.events import Json
from privacy.unit_of_work import UnitOfWork


def keep_register(uow: UnitOfWork, register: Register) -> bool:
    """Keep a register's wordings and rules, and put it in force, where it was never published.

    Joins the caller's transaction; whoever binds people to its words calls it first.

    Returns:
        Whether it was new.

    Raises:
        RegisterError: a wording that was published before now reads otherwise.
    """
    if store.register_is_published(uow.session, register.revision):
        return False
    problems: list[Problem] = []
    rows: list[store.NoticeTextRow] = []
    notices: list[Json] = []
    for notice in register.notices.values():
        for revision in notice.revisions:
            if revision.published is None:
                continue
            fresh = _unkept(uow.session, revision, problems)
            rows += fresh
            if fresh:
                notices.append(
                    {
                        "notice": revision.notice,
                        "version": revision.version,
                        "digest": revision.digest,
                        "material": revision.material,
                        "published_on": revision.published.isoformat(),
                    }
                )
    if problems:
        raise RegisterError(problems)
    try:
        with uow.session.begin_nested():
            store.publish_register(
                uow.session, register.revision, rows, uow.now, rules_to_json(register)
            )
            keep_descriptions(uow.session, register)
    except IntegrityError:  # published by another process at the same moment: the same words
        return False
    _note_in_force(uow, register, {"notices": notices})
    return True


def put_in_force(uow: UnitOfWork, register: Register) -> bool:
    """As `keep_register`, and put it in force again where another was in force since.

    Returns:
        Whether anything changed.
    """
    if keep_register(uow, register):
        return True
    if store.revision_in_force(uow.session) == register.revision:
        return False
    # Kept before the rules were: what is missing is added, what is there stays.
    store.keep_rules(uow.session, register.revision, rules_to_json(register))
    _note_in_force(uow, register, {"notices": [], "again": True})
    return True


def _note_in_force(uow: UnitOfWork, register: Register, evidence: dict[str, Json]) -> None:
    entry_id = uow.record(RegisterPublished(register_revision=register.revision), evidence)
    store.note_in_force(uow.session, register.revision, uow.now, entry_id)


def _unkept(
    session: Session, revision: NoticeRevision, problems: list[Problem]
) -> list[store.NoticeTextRow]:
    """Return the wordings of a published revision that are not kept yet."""
    kept = store.kept_words(session, revision.notice, revision.version)
    if not kept and revision.published:
        return [
            store.NoticeTextRow(
                notice=revision.notice,
                version=revision.version,
                language=language,
                text=text,
                digest=revision.digest,
                material=revision.material,
                published_on=revision.published,
            )
            for language, text in revision.texts.items()
        ]
    if any(row.digest != revision.digest for row in kept.values()):
        where = f"{NOTICES_FOLDER}/{revision.notice}/{revision.version}"
        message = "was published in other words; write the next version instead"
        problems.append(Problem(where, "", "", message))
    return []


def rules_to_json(register: Register) -> str:
    """What decisions read of a register: unit -> its rule, or null where it is not in force."""
    rules = {unit: purpose_rule(register, unit) for unit in register.purposes}
    plain = {unit: rule and _plain(rule) for unit, rule in rules.items()}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True)


def rules_at(session: Session, at: datetime) -> tuple[str, dict[str, PurposeRule | None]] | None:
    """Return the register that was in force at a moment: its revision, and its rules by unit.

    None before the first, and where it was published before the rules were kept.

    Raises:
        ValueError: what is kept cannot be read.
    """
    revision = store.revision_in_force(session, at)
    kept = store.rules_of(session, revision) if revision else None
    if revision is None or kept is None:
        return None
    rules = json.loads(kept)
    return revision, {unit: each and _rule(each) for unit, each in rules.items()}


def units_ever(session: Session) -> set[str]:
    """Return every unit of every register that was in force, as far as the rules were kept."""
    return {unit for kept in store.all_rules(session) for unit in json.loads(kept)}


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON takes
    """The same value in the types that JSON knows."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def _rule(kept: dict[str, Any]) -> PurposeRule:
    """The rule that was kept.

    Raises:
        ValueError: it has a member that this release does not know: nothing is guessed.
    """
    known = {each.name for each in fields(PurposeRule)}
    if not kept.keys() <= known:
        raise ValueError(f"unknown members of a rule: {sorted(kept.keys() - known)}")
    obligations = tuple(
        ObligationRule(ObligationType(each["type"]), tuple(each["categories"]))
        for each in kept.get("obligations", ())
    )
    return PurposeRule(
        **{
            **kept,
            "legal_basis": LegalBasis(kept["legal_basis"]),
            "categories": tuple(kept.get("categories", ())),
            "obligations": obligations,
        }
    )
