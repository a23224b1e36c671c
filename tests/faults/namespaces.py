"""Networks of their own for an operator and the hosts, with cables on which packets can be lost.

A proxy can fall silent, but it goes on taking what it is sent. Here nobody does: the kernel sends again and again, and
the first packet of a new connection is answered by nobody. The addresses are there in these namespaces alone. A
namespace has no name: it is gone with the process that holds it, which ends with the machine that made it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess

PROGRAMS = ("unshare", "nsenter", "ip")
NOBODY = "02:00:00:00:00:00"  # an Ethernet address that no end of a cable has


class Namespace:
    """A network namespace with nothing but a loopback."""

    def __init__(self) -> None:
        holding = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo made && exec cat"]
        self._holder = subprocess.Popen(
            holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        if self._holder.stdout.readline() != b"made\n":
            why = self._holder.stderr.read().decode()
            self.close()
            raise OSError(f"a network namespace can't be made: {why}")

    @property
    def entered(self) -> tuple[str, ...]:
        """What stands before a command that is to run there; its process is the command's own."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def ip(self, *words: str) -> None:
        done = subprocess.run([*self.entered, "ip", *words], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(f"ip {' '.join(words)}: {done.stderr}")

    def close(self) -> None:
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            pipe.close()
        self._holder.wait()


class Cable:
    """Joins the namespace of the host with this number, which it makes, to the operator's."""

    def __init__(self, operator: Namespace, number: int) -> None:
        self.host = Namespace()
        self.address = f"192.0.2.{4 * number + 2}"  # of RFC 5737's addresses for examples, which nobody has
        near, far = f"host{number}", "operator"
        self._ends = ((operator, near, self.address), (self.host, far, f"192.0.2.{4 * number + 1}"))
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            operator.ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", str(self.host.pid))
            for (end, name, _), (_, _, own) in zip(self._ends, reversed(self._ends), strict=True):
                end.ip("address", "add", f"{own}/30", "dev", name)
                end.ip("link", "set", name, "up")
            undo.pop_all()

    def hole(self) -> None:
        """Every packet is lost, both ways: each end sends to an Ethernet address that the other does not have."""
        for end, name, other in self._ends:
            end.ip("neighbour", "replace", other, "lladdr", NOBODY, "nud", "permanent", "dev", name)

    def mend(self) -> None:
        """What is sent again arrives."""
        for end, name, other in self._ends:
            end.ip("neighbour", "delete", other, "dev", name)

    def close(self) -> None:
        self.host.close()


@functools.cache
def possible() -> bool:
    """Whether they can be made here: that takes root, with all that it may do elsewhere, too."""
    if os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)):
        return False
    with contextlib.ExitStack() as stack:
        try:
            operator = stack.enter_context(contextlib.closing(Namespace()))
            stack.enter_context(contextlib.closing(Cable(operator, 1)))
        except OSError:
            return False
    return True
