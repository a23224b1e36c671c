"""What is to happen in one seed: drawn from a seeded generator, so that a seed is always the same story.

How it ends is not the same each time: processes are as fast as the machine is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from faults import namespaces, world

LOSSY = 0.25  # of the seeds that can lose packets
LONG = 1.5  # seconds of a slow tenant's migrations, each


UNWATCHFUL = {"PGOPTIONS": "-c client_connection_check_interval=0"}
"""A project that wants its backends to go on without their clients: opskit leaves that alone."""


@dataclass(frozen=True)
class Planned:
    """One fault: its name in faults.KINDS, when it strikes, and how many seconds it lasts."""

    kind: str
    after: int = 1  # commands that have begun in this sitting; 0 is its start
    delay: float = 0.0  # seconds after that
    lasts: float = 1.0
    sitting: int = 0  # 0 is the first rollout, 1 its first resume

    def __str__(self) -> str:
        where = f"tenant {self.after}" if self.after else "the start"
        again = f" of resume {self.sitting}" if self.sitting else ""
        return f"{self.kind} ({self.delay:.2f} s after {where}{again}, for {self.lasts:.1f} s)"


@dataclass(frozen=True)
class Scenario:
    """All that is decided before anything is started."""

    seed: int
    faults: tuple[Planned, ...]
    framework: str = "omnitenant"
    client: str = "fabric"
    runner: str = "auto"
    hosts: int = 1
    forks: int = 1  # tenants at a time
    home: tuple[str, ...] = ()  # tenants with nothing pending
    flags: tuple[str, ...] = ()  # of the first rollout
    orders: dict = field(default_factory=dict)  # what the witness is told
    reconnect: str = "20s"  # as the inventory says it
    settle: str = "20s"
    env: dict = field(default_factory=dict)  # app.env, besides the usual
    held: int = 0  # the sitting after whose end everything that is held is let go
    networks: bool = False  # whether operator and hosts have a network namespace each

    @property
    def pauses(self) -> bool:
        """Whether nothing happens but that lines are cut, for less than opskit goes on trying, and in mid-run."""
        return self.reconnect == "20s" and self._nothing_but(*CUTS)

    @property
    def follows(self) -> bool:
        """Whether nothing happens but that opskit is killed, in mid-run: the first resume goes on with what still runs."""
        return self._nothing_but("opskit killed")

    def _nothing_but(self, *kinds: str) -> bool:
        """Whether these are all that happens to the first sitting, in its middle."""
        middle = len(world.TENANTS) - len(self.home) - 2
        mine = [each for each in self.faults if each.kind != LET_GO]
        return (
            bool(mine)
            and self.hosts == 1
            and not self.flags
            and all(each.kind in kinds and 1 <= each.after <= middle and not each.sitting for each in mine)
        )

    def __str__(self) -> str:
        faults = ", then ".join(map(str, self.faults))
        tenants = f"{len(world.TENANTS) - len(self.home)} tenants to migrate, {self.forks} at a time"
        return f"{self.framework} ({self.runner}) over {self.client}, {tenants}: {faults}"


KINDS = (
    "session killed",
    "sshd stopped",
    "sshd restarted",
    "network silent",
    "network cut",
    "network away",
    "opskit killed",
    "opskit stopped",
    "Ctrl-C once",
    "Ctrl-C twice",
    "Ctrl-C three times",
    "SIGTERM",
    "SIGHUP",
    "agent killed",
    "agent stopped",
    "command killed",
    "runner killed",
    "runner stopped",
    "agent and command killed",
    "everything killed",
    "PostgreSQL restarted",
    "PostgreSQL crashed",
    "out of connections",
    "table locked",
    "disk full here",
    "disk full there",
    "second opskit",
    "output flood",
    "host died",
    "host away",
    "clocks wrong",
)
"""Every kind of fault that is drawn; faults.KINDS does them."""

LET_GO = "let go when followed"
"""No fault, but what a scenario that is written by hand waits for."""

PACKETS = ("packets lost", "packets lost for good")
"""Those that are drawn besides, where network namespaces can be made."""

CUTS = (
    *("session killed", "sshd stopped", "sshd restarted"),
    *("network silent", "network cut", "network away", "packets lost"),
)
"""Those that do nothing but cut the line, or let it go silent, for a while."""


def draw(seed: int) -> Scenario:
    """The scenario of a seed. The first seeds go through the kinds one by one, so that few seeds try each."""
    dice = random.Random(seed)  # noqa: S311 - the same story each time is what is wanted
    kinds = [KINDS[seed % len(KINDS)]]
    kinds += dice.choices(KINDS, k=dice.choices((0, 1, 2), (6, 3, 1))[0])
    pending = dice.randint(6, len(world.TENANTS))
    home = tuple(sorted(dice.sample(world.TENANTS, len(world.TENANTS) - pending)))
    left = [tenant for tenant in world.TENANTS if tenant not in home]
    struck = dice.randint(0, min(pending, 8))
    faults = tuple(_planned(kind, dice, struck) for kind in kinds)
    story = Scenario(
        seed,
        _in_order(faults),
        framework=dice.choice(("omnitenant", "opskit")),
        client=dice.choice(("fabric", "fabric", "openssh")),
        runner="auto" if any(each.startswith("runner ") for each in kinds) else dice.choice(("auto", "auto", "cold")),
        hosts=2 if any(each.startswith("host ") for each in kinds) or dice.random() < 0.15 else 1,
        home=home,
        flags=_flags(dice),
        orders=_orders(seed, dice, left, kinds, struck),
        reconnect=dice.choice(("1s", "20s", "20s", "20s")),
        settle=dice.choice(("1s", "20s")),
        env=dice.choice(({}, UNWATCHFUL)),
        forks=_forks(seed),
    )
    return _with_packets_lost(story) if namespaces.possible() else story


def _in_order(faults: tuple[Planned, ...]) -> tuple[Planned, ...]:
    return tuple(sorted(faults, key=lambda each: (each.sitting, each.after, each.delay)))


def _with_packets_lost(story: Scenario) -> Scenario:
    """Of the seeds that need no proxy some lose packets, too, or nothing else, once every kind has had its seed.

    Dice of their own, as for the tenants at a time.
    """
    dice = random.Random(f"packets {story.seed}")  # noqa: S311
    if dice.random() > LOSSY or any(each.kind.startswith(("network ", "host ")) for each in story.faults):
        return story
    first = story.faults[0]
    lost = replace(first, kind=dice.choice(PACKETS), delay=dice.uniform(0.0, 1.2), lasts=dice.uniform(0.5, 8.0))
    alone = story.seed >= len(KINDS) and dice.random() < 0.5
    return replace(story, faults=(lost,) if alone else _in_order((*story.faults, lost)), networks=True)


def _forks(seed: int) -> int:
    """Every fourth seed or so has several tenants at a time. Dice of their own: the other stories stay what they were."""
    return random.Random(f"forks {seed}").choice((1, 1, 1, 1, 1, 1, 2, 3))  # noqa: S311


def _planned(kind: str, dice: random.Random, struck: int) -> Planned:
    """The faults of one seed strike near each other: that is where they meet."""
    after = max(0, struck + dice.choice((0, 0, 0, 1, -1)))
    delay = dice.uniform(0.0, 2.0) if after == 0 else dice.uniform(0.0, 1.2)
    lasts = dice.choice((dice.uniform(0.1, 1.5), dice.uniform(1.5, 6.0)))
    sitting = 1 if dice.random() < 0.15 else 0
    return Planned(kind, after, delay, lasts, sitting)


def _flags(dice: random.Random) -> tuple[str, ...]:
    choices = ((), (), (), ("--retries=2",), ("--canary=1",), ("--max-failures=3",), ("--timeout=5s",))
    return dice.choice(choices)


def _orders(seed: int, dice: random.Random, left: list[str], kinds: list[str], struck: int) -> dict:
    near = left[max(0, struck - 2) : struck + 2]
    slow = {tenant: LONG for tenant in near if dice.random() < 0.25}
    noisy = [near[0]] if near and "output flood" in kinds else []
    return {"seed": seed, "slow": slow, "noisy": noisy, "noise": dice.randint(1_000, 60_000)}
