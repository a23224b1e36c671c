"""No framework yet: the project is asked which it is on, together with what is pending."""

from __future__ import annotations

from collections.abc import Iterable

from opskit import model
from opskit.frameworks import django, survey
from opskit.frameworks.framework import Framework, Target

NAME = "auto"


def framework(known: Iterable[Framework]) -> Framework:
    """What stands for one of the `known` until the survey says which."""
    marks = dict.fromkeys(mark for each in known for mark in each.marks)
    return Framework(
        name=NAME,
        migrate=migrate,
        judge=django.judge,
        marks=tuple(marks),
        survey=survey.command(NAME),
        read_survey=survey.read,
    )


def migrate(_tenant: model.Tenant, _target: Target) -> model.Command:
    """Raise LookupError, which no code catches: whoever migrates has asked before."""
    raise LookupError("nobody has asked yet which framework the project is on")
