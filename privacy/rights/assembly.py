"""The rights put together: everything that a person's rights touch, the desk and the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint

from privacy.consent.service import Consents
from privacy.kernel import Kernel
from privacy.keys.keyring import RootKey
from privacy.rights import api, desk_pages, pages
from privacy.rights.calendar import holidays_when_asked
from privacy.rights.cases import Cases
from privacy.rights.erasure import Eraser
from privacy.rights.files import Files, RequestsSource
from privacy.rights.letters import Letters
from privacy.rights.limits import Limits
from privacy.rights.service import Rights
from privacy.rights.sources import PersonalDataSource, Sources


@dataclass(frozen=True, slots=True)
class RightsServices:
    """The services of the rights, wired."""

    rights: Rights
    eraser: Eraser
    files: Files


def assemble(
    kernel: Kernel, consents: Consents, holders: Sequence[PersonalDataSource]
) -> RightsServices:
    """Wire the rights over every holder of personal data, the profile first."""
    register, subjects = kernel.register, kernel.subjects
    files = Files(kernel.sealer)
    sources = Sources([*holders, RequestsSource(files)])
    eraser = Eraser(subjects, sources, kernel.sealer)
    cases = Cases(
        register=register,
        holidays=holidays_when_asked(register.controller.region),
        subjects=subjects,
        consents=consents,
        eraser=eraser,
        files=files,
    )
    rights = Rights(
        register=register,
        subjects=subjects,
        sources=sources,
        eraser=eraser,
        cases=cases,
        files=files,
        letters=Letters(kernel.postbox, register, kernel.base_url),
        limits=Limits(kernel.keyring.derive(RootKey.BLIND_INDEX, "rights-attempts")),
    )
    return RightsServices(rights=rights, eraser=eraser, files=files)


def blueprints(kernel: Kernel, services: RightsServices) -> Sequence[Blueprint]:
    """Return the pages and routes."""
    runtime, subjects, register = kernel.runtime, kernel.subjects, kernel.register
    return (
        pages.blueprint(runtime, services.rights, subjects, register),
        desk_pages.blueprint(runtime, services.rights, subjects, register),
        api.blueprint(runtime, services.rights, kernel.pseudonyms),
    )
