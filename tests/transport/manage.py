"""A project that misbehaves on demand: the first argument says how."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def show(*args):
    print(json.dumps(args))


def code(number):
    sys.exit(int(number))


def suicide(number):
    os.kill(os.getpid(), int(number))
    time.sleep(60)


def close_stdout():
    print("mark before", flush=True)
    os.close(1)
    os.close(2)
    time.sleep(0.3)
    os._exit(4)


def daemon(witness):
    """Leave a process of its own session behind, which keeps the output open."""
    script = "import os, sys, time; os.setsid(); time.sleep(float(sys.argv[1])); print('late')"
    child = subprocess.Popen([sys.executable, "-c", script, "30"])
    Path(witness).write_text(str(child.pid))
    print("mark parent ends")


def half_utf8():
    sys.stdout.buffer.write("mark é".encode()[:-1])


def binary():
    sys.stdout.buffer.write(bytes(range(256)) * 10 + b"\nmark after\n")


def frames():
    """What a frame looks like, and the agent's own first word."""
    out = sys.stdout.buffer
    out.write(b"\0opskit-agent 1\n" + b'J\0\0\0\x2a{"type": "ended", "id": 1, "exit": 0}' * 3 + b"\n")
    out.write(b'mark {"type": "ended"}\n')
    sys.exit(3)


def much(megabytes):
    line = b"x" * 99 + b"\n"
    for _ in range(int(megabytes)):
        sys.stdout.buffer.write(line * 10_000)
    print("mark end")


def one_line(megabytes):
    for _ in range(int(megabytes)):
        sys.stdout.buffer.write(b"y" * 1_000_000)
    print("\nmark end")


def stubborn(witness):
    """Ignore SIGTERM, with a child that does, too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(15, 1); time.sleep(60)"])
    Path(witness).write_text(json.dumps([os.getpid(), child.pid]))
    time.sleep(60)


def wait_for(path, witness):
    """Run until the file `path` is there, then leave the file `witness`."""
    print("mark begun", flush=True)
    Path(witness + ".begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    print("mark finished", flush=True)
    Path(witness).write_text("done")


def count(path, witness):
    """The same, and counts aloud meanwhile."""
    Path(witness + ".begun").touch()
    number = 0
    while not Path(path).exists() or number < 10:
        print("mark", number, "x" * 1000, flush=True)
        number += 1
        time.sleep(0.01)


def halves(first, second, path, witness):
    """Say one half of a word before the file `path` is there, and the other half then."""
    print("mark begun", flush=True)
    print("mark " + first, end="", flush=True)
    Path(witness + ".begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    print(second + " mark finished", flush=True)


def environment(*names):
    print(json.dumps({name: os.environ.get(name) for name in names}))


def where():
    print(json.dumps([str(Path.cwd()), sys.argv[0]]))


def stdin():
    print(repr(sys.stdin.read()))


def both():
    print("on stdout")
    print("on stderr", file=sys.stderr)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
