"""What opskit raises when it cannot do its own part.

Whatever a tenant did is an Outcome; an exception means that opskit itself
could not go on. Each class has the exit code of the task that it ends::

    OpskitError                 1  our own breakage
    ├── UsageError              2  a flag, a selection
    │   └── InventoryError      2  a missing, malformed or contradictory inventory
    ├── CannotStart             3  could not start
    │   ├── ConnectError        3  a host can't be reached: the next one may serve
    │   │   └── TurnedAway      3  its server hung up at once, as a busy sshd does: it may be asked again
    │   ├── HostKeyError        3  a host's key is unknown, changed or revoked
    │   ├── RemoteError         3  a wrong path, Python, manage.py, user or state folder
    │   ├── ListingError        3  the project's answer can't be read
    │   ├── SharedPending       3  the shared database has pending migrations
    │   ├── PlanDiffers         3  what was reviewed is not what would run now
    │   ├── RequiredFirst       3  what is pending is not applied where the inventory says it comes first
    │   ├── Declined            3  the operator said no, or could not be asked
    │   └── HookFailed          3  a command of the inventory's hooks failed
    ├── LockHeld                4  another run holds the environment
    ├── JournalError            3  the run's record can't be written or read
    └── Interrupted           130  Ctrl-C before anything was started
"""

from __future__ import annotations

__all__ = [
    "CannotStart",
    "ConnectError",
    "Declined",
    "HookFailed",
    "HostKeyError",
    "Interrupted",
    "InventoryError",
    "JournalError",
    "ListingError",
    "LockHeld",
    "OpskitError",
    "PlanDiffers",
    "RemoteError",
    "RequiredFirst",
    "SharedPending",
    "TurnedAway",
    "UsageError",
]


class OpskitError(Exception):
    """The root. The message says what failed, of what, and why; `hint` what to type next.

    The state of the world stands between them, and only whoever ends the run knows it: see `told`.
    """

    exit_code = 1

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def told(self, state: str = "") -> str:
        """The whole message, with the state of the world in its place."""
        return " ".join(each for each in (self._said(), _sentence(state), self.hint) if each)

    def _said(self) -> str:
        """One sentence on one line: a newline in it is somebody's data."""
        return _sentence(str(self).replace("\n", "\\n"))


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", ":")) else f"{text}."


def _in_lines(error: OpskitError, state: str) -> str:
    """A reason of several lines; state and hint stand on one of their own."""
    last = " ".join(each for each in (_sentence(state), error.hint) if each)
    return "\n".join([*map(_sentence, str(error).split("\n")), *([last] if last else [])])


class UsageError(OpskitError):
    """A flag or a selection that can't be meant."""

    exit_code = 2


class InventoryError(UsageError):
    """An inventory that is missing, malformed or contradictory; the message names file and key, a line a complaint."""

    def _said(self) -> str:
        return "\n".join(map(_sentence, str(self).split("\n")))


class CannotStart(OpskitError):
    """The run could not start, or could not go on."""

    exit_code = 3


class ConnectError(CannotStart):
    """A host that can't be reached. The next host of the environment may serve."""


class TurnedAway(ConnectError):
    """A server that hung up before a session began, as a busy sshd does (MaxStartups): it may be asked again."""


class HostKeyError(CannotStart):
    """A host key that is unknown, changed or revoked. No other host is tried: somebody should look."""


class RemoteError(CannotStart):
    """The host was reached, and its path, Python, manage.py, user or state folder is wrong.

    `why` says which: `sudo`, `python`, `env_file`, `state_dir`, `path` or `manage`; "" where nobody knows.
    """

    def __init__(self, message: str = "", hint: str = "", why: str = "") -> None:
        super().__init__(message, hint)
        self.why = why


class ListingError(CannotStart):
    """The project's answer to `who are your tenants` or `what is pending` can't be read."""


class SharedPending(CannotStart):
    """The shared (master, public) database has pending migrations, and --shared was not given."""


class PlanDiffers(CannotStart):
    """The plan that was reviewed is not what would run now; a line a difference."""

    def told(self, state: str = "") -> str:
        return _in_lines(self, state)


class RequiredFirst(CannotStart):
    """What is pending here is not applied where the inventory says it comes first; a line for what is missing."""

    def told(self, state: str = "") -> str:
        return _in_lines(self, state)


class Declined(CannotStart):
    """The inventory asks for a confirmation, and there was none."""


class HookFailed(CannotStart):
    """A hook that must succeed before anything, or this tenant, is migrated, and did not."""


class LockHeld(OpskitError):
    """Another run holds the environment; the message says whose, from where and since when.

    `run` is its id. It is `lone` where nobody controls it any more: what it has at work goes on by itself.
    """

    exit_code = 4

    def __init__(self, message: str = "", hint: str = "", run: str = "", *, lone: bool = False) -> None:
        super().__init__(message, hint)
        self.run = run
        self.lone = lone


class JournalError(OpskitError):
    """The run's record can't be written (full disk, wrong owner) or read (a later version's)."""

    exit_code = 3


class Interrupted(OpskitError):
    """Ctrl-C or SIGTERM before the rollout began."""

    exit_code = 130
