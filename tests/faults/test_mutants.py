"""Tests of the tests: an opskit with one thing wrong is found out, and the same scenario finds nothing wrong with ours."""

from __future__ import annotations

import pytest

from faults import machine, mutants

SCENARIOS = {
    name: getattr(mutants, name)
    for name in dir(mutants)
    if any(getattr(mutants, name) is each.shown_by for each in mutants.MUTANTS.values())
}


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_an_opskit_with_one_thing_wrong_is_found_out(name, templates, tmp_path):
    mutant = mutants.MUTANTS[name]

    played = machine.play(mutant.shown_by, templates, mutant.write(tmp_path))

    assert played.broke == []
    assert [each for each in played.misreports if each.startswith(mutant.as_what)], (played.misreports, played.last)


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_the_same_scenario_ours_reports_nothing_wrongly(name, templates):
    played = machine.play(SCENARIOS[name], templates)

    assert (played.misreports, played.broke) == ([], []), played.last
