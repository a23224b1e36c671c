"""Rollouts of twenty tenants, each under a fault or several: nothing may be reported wrongly.

`scripts/soak 1 --from=SEED` plays one of them again and tells more.
"""

from __future__ import annotations

import os
from concurrent import futures

import pytest

from faults import kinds, machine, namespaces, scenario

SEEDS = range(60)
LOSSY = [seed for seed in SEEDS if scenario.draw(seed).networks]
PACKETS = set(scenario.PACKETS) if namespaces.possible() else set()
AT_ONCE = min(4, os.cpu_count() or 1)  # they share nothing but the machine


@pytest.fixture(scope="module")
def played(request, templates):
    """{seed: what becomes of it}: those that are asked for, played side by side."""
    wanted = {seed for item in request.session.items if "played" in item.fixturenames for seed in _seeds(item)}
    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {seed: pool.submit(machine.play, scenario.draw(seed), templates) for seed in sorted(wanted)}
        pool.shutdown(cancel_futures=True)  # one has failed, and -x was given


def _seeds(item):
    return [item.callspec.params["seed"]] if hasattr(item, "callspec") else LOSSY


@pytest.mark.parametrize("seed", SEEDS)
def test_under_faults_nothing_is_reported_wrongly(seed, played):
    what = played[seed].result()

    assert (what.misreports, what.broke) == ([], []), f"{what.story}\n{what.codes}\n{what.last}"


def test_in_some_seeds_packets_are_lost_where_network_namespaces_can_be_made(played):
    assert PACKETS == {kind for seed in LOSSY for kind in played[seed].result().struck if kind in scenario.PACKETS}


def test_a_seed_is_always_the_same_story():
    assert [scenario.draw(seed) for seed in range(200)] == [scenario.draw(seed) for seed in range(200)]


def test_every_kind_of_fault_is_among_the_seeds():
    assert {*scenario.KINDS, *PACKETS} == {each.kind for seed in SEEDS for each in scenario.draw(seed).faults}
    assert {*scenario.KINDS, *scenario.PACKETS} == set(kinds.KINDS)
