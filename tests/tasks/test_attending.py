"""The tenant at work: ended when that is asked for twice, and told of when it has gone quiet."""

from __future__ import annotations

from opskit import testing
from opskit.tasks import attending, interrupts


def made():
    said, ended = [], []
    clock, interrupted = testing.FakeClock(), interrupts.Interrupts(lambda _: None)
    watch = attending.Attending(interrupted, clock, lambda: ended.append(clock.monotonic()), said.append)
    return watch, clock, interrupted, said, ended


def test_a_tenant_that_prints_is_not_told_of():
    watch, clock, _, said, ended = made()
    watch.begin("acme", 12.0)
    for _ in range(10):
        clock.advance(299.0)
        watch.look()
        watch.heard()
    assert (said, ended) == ([], [])


def test_a_quiet_tenant_is_told_of_with_what_it_usually_takes_and_each_time_after_twice_as_long():
    watch, clock, _, said, _ = made()
    watch.begin("acme", 12.0)
    for _ in range(70):
        clock.advance(20.0)
        watch.look()
    assert said == [
        "`acme` has printed nothing for 5m00s; it usually takes 12.0 s",
        "`acme` has printed nothing for 10m00s; it usually takes 12.0 s",
        "`acme` has printed nothing for 20m00s; it usually takes 12.0 s",
    ]


def test_a_tenant_without_a_history_is_told_of_without_one():
    watch, clock, _, said, _ = made()
    watch.begin("acme", None)
    clock.advance(300.0)
    watch.look()
    assert said == ["`acme` has printed nothing for 5m00s"]


def test_it_is_ended_only_when_that_is_asked_for():
    watch, clock, interrupted, _, ended = made()
    watch.begin("acme", None)
    watch.look()
    interrupted.asked = True
    watch.look()
    assert ended == []
    interrupted.ending = True
    clock.advance(1.0)
    watch.look()
    assert ended == [1.0]
