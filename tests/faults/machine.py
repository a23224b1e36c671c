"""Plays a scenario: a rollout, its faults, `--resume` until all is done, and then the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from faults import kinds, scenario, truth, world

LIMIT = 90.0  # seconds in which a command of the operator's may say and start nothing: more is a hang
TRIES = 12  # how often --resume is typed
LOCKED, USAGE = 4, 2  # exit codes
QUIET = 0.5  # seconds between two tries while somebody else holds the lock


@dataclass
class Played:
    """What became of a scenario."""

    story: scenario.Scenario
    misreports: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)  # the faults whose moment came
    codes: list[int | None] = field(default_factory=list)  # exit codes, oldest first
    seconds: float = 0.0
    broke: list[str] = field(default_factory=list)  # what the machine itself could not do
    last: str = ""  # what was said last
    left: list[str] = field(default_factory=list)  # what still ran on a host when nobody wanted anything of it any more


def play(story: scenario.Scenario, templates: dict[str, world.Template], package: Path | None = None) -> Played:
    """`package` is the folder of another opskit than the installed one."""
    began = time.monotonic()
    played = Played(story)
    with world.new(
        templates[story.framework],
        hosts=story.hosts,
        home=story.home,
        orders=story.orders,
        package=package,
        env=story.env,
        networks=story.networks,
        ssh={"client": story.client, "reconnect": story.reconnect},
        rollout={"settle": story.settle, "runner": story.runner},
    ) as at:
        if story.held:
            at.hold()
        injectors, last = _roll(story, at)
        played.left = _finish(at)
        played.struck = [each.done for each in injectors if each.done]
        played.broke = [f"{each.planned}: {each.broke!r}" for each in injectors if each.broke]
        played.codes = [sitting.code for sitting in at.sittings]
        played.last = last.said[-2000:]
        seen = truth.look(at, timed="clocks wrong" not in played.struck)
        played.misreports = truth.misreports(story, at, seen)
        if story.pauses and played.codes[0] != 0:
            played.misreports.append(
                f"a pause that was taken for an end: exit {played.codes[0]}: {at.sittings[0].said}"
            )
        if story.follows and played.codes[1:] not in ([], [0]):
            played.misreports.append(f"not followed: exits {played.codes}: {at.sittings[1].said}")
        if last.code != 0:
            played.misreports.append(f"never home: the last of {len(at.sittings)} tries exited {last.code}")
    played.seconds = time.monotonic() - began
    return played


def _roll(story: scenario.Scenario, at: world.World) -> tuple[list[kinds.Injector], world.Sitting]:
    """The rollout, and then `--resume` for as long as somebody is not home. The last of these sittings comes back."""
    injectors: list[kinds.Injector] = []
    several = (f"--forks={story.forks}",) if story.forks > 1 else ()
    argv: tuple[str, ...] = ("migrate-all", "--env=prod", *several, *story.flags)
    for number in range(TRIES):
        sitting = at.type(*argv, "--format=json")
        mine = [kinds.Injector(at, each, sitting) for each in story.faults if each.sitting == number]
        for each in mine:
            each.start()
        _wait(at, sitting)
        injectors += mine
        if number == story.held:
            at.let_go()
        if number >= story.held:
            for each in injectors:
                each.join()
        for other in at.sittings:
            _wait(at, other)
        if sitting.code == 0:
            break  # all is home: a fault that was to come later has nobody to strike
        if sitting.code == LOCKED:
            time.sleep(QUIET)
        argv = _next_command(at, sitting)
    at.let_go()
    for each in injectors:
        each.join()
    return injectors, sitting


def _next_command(at: world.World, last: world.Sitting) -> tuple[str, ...]:
    """What the messages say to type next: `--resume`, and a new run where nothing can be resumed."""
    nothing = last.code == USAGE and "--resume" in last.argv
    if nothing or not any((run / "journal.jsonl").exists() for run in at.runs):
        return ("migrate-all", "--env=prod")
    return ("migrate-all", "--env=prod", "--resume", "--timeout=5m")  # whatever was too slow for the first one


def _wait(at: world.World, sitting: world.Sitting) -> None:
    """Until it ends; what neither says nor starts anything any more is killed, and has no exit code."""
    if sitting.code is not None:
        return
    ended, moved, before = sitting.process.poll, time.monotonic(), (0, 0)
    while ended() is None and time.monotonic() - moved < LIMIT:
        world.until(lambda: ended() is not None, QUIET)
        if not at.gone and at.commands("overlap"):
            at.let_go()  # what was held for has happened
        now = sitting.err.stat().st_size, at.begun()
        moved, before = (moved if now == before else time.monotonic()), now
    sitting.code = ended()
    if sitting.code is None:
        sitting.process.kill()
        sitting.process.wait()


def _finish(at: world.World) -> list[str]:
    """Whatever still runs on the hosts comes to its end; what does not, as a line each."""
    world.until(lambda: not any(host.processes() for host in at.hosts), LIMIT, look=0.3)
    return [f"process {pid}: {world.shown(pid)}" for host in at.hosts for pid in host.processes()]
