"""The agent: one process a host, which holds the lock and starts every command.

It comes over stdin and speaks frames: a byte for the kind, four for the length, then the payload.
`J` is a JSON object, `P` a piece of a command's output, `O` and `E` one of a question's stdout and
stderr. A `P` begins with eight bytes that say where in the output file it ends, in bytes as they were
written, secrets and all. Its frames leave through a descriptor of their own; whatever else prints goes
to stderr.

The controller says `open`, then any number of `run`, `beat` and `collected`, then `bye`.
The agent says `ready` or `refused`, then `started` and `ended` for each `run`, and `beat`.
`end` ends the command at work. A `patient` controller that was refused for the lock may ask again with
`lock`, and meanwhile `follow` a command of its own run that an earlier agent started: its output from a
place on, its end from its record. The refusal says what `ready` says, too, so that it knows which.

Of a run with several tenants at a time, each agent is a `worker`, by its number: they share the lock.

A controller that hangs up or stays silent is gone: the command at work is finished and recorded,
its output kept, and nothing more is started. The lock is free when this process ends.
"""

import collections
import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

HEADER = struct.Struct(">cI")
PLACE = struct.Struct(">Q")
CHUNK = 256 * 1024  # read from the output file at once
BACKLOG = 1024 * 1024  # bytes waiting to be sent, above which no output is read
FOLLOW = 0.03  # seconds between looks at the output while a command runs; its end is a signal
LOOK = 0.25  # seconds between looks at a process that is not our own child
TROUBLE = 3  # times that the warm runner may let us down
ADMISSIONS = 6  # tries to share the lock, while somebody else of the same run takes it
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
TAIL = 4096  # bytes of output that a record keeps for the next run
SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|DSN|URL|CREDENTIAL", re.IGNORECASE)
URL_PASSWORD = re.compile(r"://[^:/@\s]*:([^@\s]+)@")
REDACTED = b"[REDACTED]"


class Refused(Exception):  # noqa: N818 - it is an answer
    """The run can't start on this host. `why` is a word for the controller, the message is for people."""

    def __init__(self, why, message, **more):
        super().__init__(message)
        self.why = why
        self.more = more


# ---------------------------------------------------------------- the project's surroundings


def parse_env_file(text):
    """{key: value} of KEY=VALUE lines; `export`, quotes and comments are understood, nothing is evaluated."""
    values = {}
    for line in map(str.strip, text.splitlines()):
        setting = line[len("export ") :].lstrip() if line.startswith("export ") else line
        key, equals, value = setting.partition("=")
        if not equals or line.startswith("#") or not key.strip():
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[key.strip()] = value
    return values


def environment_of(env, message):
    """A command's variables. Of a setting of PostgreSQL the last one wins: ours stand behind those that are there.

    The usual ones stand before them.
    """
    env = dict(env, **message.get("env", {}))
    options = [message.get("pgusual"), env.get("PGOPTIONS"), message.get("pgoptions")]
    if any(options):
        env["PGOPTIONS"] = " ".join(filter(None, options))
    return env


def settings_of(env, base):
    """What a command's variables have beyond those of the warm runner that forks it."""
    return {name: value for name, value in env.items() if base.get(name) != value}


def read_env_file(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return parse_env_file(file.read())
    except OSError as error:
        raise Refused("env_file", "app.env_file `%s`: %s" % (path, error.strerror)) from error


def secret_values(env, keys, more=()):
    """What must not leave the host: the values of `keys`, `more` values, and passwords inside their URLs."""
    found = set()
    for value in [env.get(key, "") for key in keys] + list(more):
        for secret in [value, *URL_PASSWORD.findall(value)]:
            found.update(appearances(secret))
    return sorted((v.encode("utf-8", "surrogateescape") for v in found if len(v) >= 4), key=len, reverse=True)


def appearances(secret):
    """How a secret may be printed: as it is, without its percent signs, in a repr or in JSON, a line of it alone."""
    plain = urllib.parse.unquote(secret)
    lines = [line for line in secret.splitlines() if len(line) >= 8]
    quoted = [show(text)[1:-1] for show in (repr, json.dumps) for text in (secret, plain)]
    return [secret, plain, *quoted, *lines]


class Redactor:
    """Replaces secrets in a stream, those that straddle two pieces included."""

    def __init__(self, secrets):
        self.pattern = re.compile(b"|".join(re.escape(s) for s in secrets)) if secrets else None
        self.keep = max([len(s) for s in secrets] or [1]) - 1
        self.held = b""

    def feed(self, data, last=False):
        if self.pattern is None:
            return data
        data = self.held + data
        cut = len(data) if last else self._cut(data)
        self.held = data[cut:]
        return self.pattern.sub(REDACTED, data[:cut])

    def _cut(self, data):
        """A place that splits no secret: what follows it may still become one."""
        cut = max(0, len(data) - self.keep)
        for match in self.pattern.finditer(data):  # from the start, as `sub` does: a secret may overlap itself
            if match.start() >= cut:
                break
            if match.end() > cut:
                return match.end()
        return cut


def unfit(path):
    """Make `path` a folder of ours alone (0700). Why it can't be one, "" where it is."""
    before = os.umask(0o077)  # makedirs gives its mode to the last folder alone
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        status = os.lstat(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        os.umask(before)  # the project's own files keep the host's
    if not stat.S_ISDIR(status.st_mode):
        return (
            "it is a link: somebody else may be able to turn it" if stat.S_ISLNK(status.st_mode) else "it is no folder"
        )
    if status.st_uid != os.getuid():
        return "it belongs to another user than the one that the agent runs as"
    return "" if os.access(path, os.W_OK) else "it can't be written"


def state_folder(configured):
    """Where lock, records and output are kept: app.state_dir, else ~/.opskit, else one under the temporary folder."""
    if configured:
        path = os.path.abspath(os.path.expanduser(configured))
        why = unfit(path)
        if why:
            raise Refused("state_dir", "app.state_dir `%s`: %s" % (path, why))
        return path
    for path in (
        os.path.join(os.path.expanduser("~"), ".opskit"),
        os.path.join(temporary_folder(), "opskit-%d" % os.getuid()),
    ):
        if os.path.isabs(path) and not unfit(path):
            return path
    raise Refused("state_dir", "there is no folder for opskit's state: set app.state_dir")


def temporary_folder():
    """Where Python puts what it does not keep. Where nothing can be written at all, that is said."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise Refused("state_dir", "there is no temporary folder that can be written: set TMPDIR in app.env") from error


def enter_project(path, manage):
    """Go into the project; its path with links resolved, so that a deploy in mid-run changes nothing."""
    path = os.path.expanduser(path)
    try:
        os.chdir(path)
    except OSError as error:
        raise Refused("path", "app.path `%s`: %s" % (path, error.strerror)) from error
    if not os.path.isfile(manage):
        raise Refused("manage", "app.manage `%s`: there is no such file in `%s`" % (manage, os.getcwd()))
    return os.getcwd()


def speaks_of_django(manage):
    """Whether a manage.py may be one of Django's."""
    try:
        with open(manage, "rb") as file:
            return b"django" in file.read()
    except OSError:
        return False


def revision(path):
    """The commit that the project's checkout is at, read from its files; "" where it is none."""
    git = os.path.join(path, ".git")
    head = read_line(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return head[:40]
    return read_line(os.path.join(git, head[5:]))[:40] or packed(os.path.join(git, "packed-refs"), head[5:])


def packed(path, ref):
    """The commit of a ref that git has moved into one file with the others, as `git gc` does."""
    try:
        with open(path) as file:
            return next((line[:40] for line in file if line.rstrip().endswith(" " + ref)), "")
    except (OSError, ValueError):
        return ""


def read_line(path):
    try:
        with open(path) as file:
            return file.read(4096).strip()
    except (OSError, ValueError):
        return ""


# ---------------------------------------------------------------- lock and records


def write_json(path, content):
    """Put `content` at `path`, whole or not at all, readable by its owner only."""
    partial = "%s.%d" % (path, os.getpid())
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(json.dumps(content))  # `dump` goes without the encoder in C
    os.rename(partial, path)


def read_json(path):
    try:
        with open(path) as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def flock(fd, how):
    """Whether the kernel's lock is ours now."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def exclusive(fd):
    return flock(fd, fcntl.LOCK_EX)


def birth(pid):
    """When process `pid` began, in the system's own words; "" where there is no such process, or a dead one."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        if os.path.exists("/proc/self/stat"):
            return ""
    try:
        asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
    except OSError:
        return ""
    return asked.stdout.decode("ascii", "replace").strip()


def stopped(pid):
    """Whether process `pid` has been stopped (SIGSTOP, a debugger) and does nothing until somebody continues it."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        if os.path.exists("/proc/self/stat"):
            return False
    try:
        asked = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
    except OSError:
        return False
    return asked.stdout.strip().startswith(b"T")


def alive(record):
    """Whether the process of a record still runs; its number may belong to another one by now, or be none."""
    pid = record.get("pid")
    return type(pid) is int and pid > 0 and "ended" not in record and birth(pid) == record.get("born")


class State:
    """The lock of one project and the records of its commands, in one folder.

    They are named for the path that the inventory gives, not for what its links lead to: a deploy that
    moves the link is still the same project.
    """

    def __init__(self, folder, project, claim=None, worker=None):
        project = os.path.abspath(os.path.expanduser(project))
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", os.path.basename(project))[:40]
        self.folder = folder
        self.name = "%s-%s" % (safe, hashlib.sha256(project.encode("utf-8", "surrogateescape")).hexdigest()[:8])
        self.claim = claim or {}  # who asks for the lock: {run, operator, at}
        self.worker = worker  # None: this agent is the run's only one
        self.locks = {}  # {a lock file's ending: its descriptor, while the kernel's lock on it is ours}
        self.held = None  # the lock file, while the lock is ours
        self.lock = None  # the same, while nothing keeps us from starting commands

    def path(self, ending):
        return os.path.join(self.folder, self.name + ending)

    def take_lock(self):
        """Take the lock, or raise Refused with who has it. It is held until this process ends."""
        if not self.hold():
            raise Refused("locked", "another run holds it", holder=self.holder())
        self._refuse_orphan()
        if self.worker is None:
            self.sign(self.held)
        self.lock = self.held

    def sign(self, fd):
        """Write down who holds the lock, for those who are refused, and for the other workers. Raises Refused."""
        try:
            self.write(fd, dict(self.claim, pid=os.getpid(), born=birth(os.getpid())))
        except OSError as error:  # a full disk
            raise Refused("state_dir", "app.state_dir `%s`: %s" % (self.folder, error.strerror.lower())) from error

    def write(self, fd, holder):
        """In one go: who is refused meanwhile must not read half of it. Blanks hide what stood there."""
        os.pwrite(fd, json.dumps(holder).encode().ljust(os.fstat(fd).st_size), 0)

    def abandoned(self):
        """Write down that the controller is gone: what is at work goes on to its end, and nothing more is started.

        A worker does not know that: it may have lost no more than its own line.
        """
        if self.lock is not None and self.worker is None:
            with contextlib.suppress(OSError):  # a full disk
                self.write(self.lock, dict(read_json(self.path(".lock")), gone=time.time()))

    def holder(self):
        """Who has the lock: what it wrote down, whether its agent is stopped, and what it has at work."""
        said = self.signed()
        at_work = [record for record in self.records() if record.get("run") == said.get("run") and alive(record)]
        return dict(said, stopped=alive(said) and stopped(said["pid"]), at_work=at_work[-1] if at_work else None)

    def signed(self):
        """What the holder of the lock wrote down; who has only just got it is about to."""
        for _ in range(ADMISSIONS):
            said = read_json(self.path(".lock"))
            if said:
                break
            time.sleep(FOLLOW)
        return said

    def hold(self):
        """Whether the kernel's lock is ours: the kernel lets go of it, nobody else.

        It is a worker's when it shares the run's, and no other agent in its place is there.
        """
        if self.worker is None:
            ours = self.locked(".lock", exclusive)
        else:
            ours = self.locked(".lock", self.share) and self.locked(".%d.lock" % self.worker, exclusive)
        self.held = self.locks[".lock"] if ours else None
        return ours

    def locked(self, ending, take):
        """Whether the kernel's lock on one of our files is ours, until this process ends."""
        if ending not in self.locks:
            fd = os.open(self.path(ending), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            taken = False
            try:
                taken = take(fd)
            finally:
                if not taken:
                    os.close(fd)
            if taken:
                self.locks[ending] = fd
        return ending in self.locks

    def share(self, fd):
        """Whether this worker shares the lock. The first one takes it whole, and writes down whose it is.

        Between whole and shared the kernel holds nothing: where another run comes in, the lock is that one's.
        """
        for _ in range(ADMISSIONS):
            if exclusive(fd):
                self.sign(fd)
                return flock(fd, fcntl.LOCK_SH)
            if flock(fd, fcntl.LOCK_SH):
                said = read_json(self.path(".lock"))
                if self.claim == {name: said.get(name) for name in self.claim}:
                    return True
                fcntl.flock(fd, fcntl.LOCK_UN)
            time.sleep(FOLLOW)
        return False

    def _refuse_orphan(self):
        """A command outlives its agent where that was killed: the lock is free then, and the command is not done."""
        for record in self.records():
            if alive(record):
                raise Refused("locked", "a command of it still runs", holder=dict(record, orphan=True))

    def mark(self):
        """What a record says of the worker whose command it is."""
        return {} if self.worker is None else {"sitting": self.claim.get("at"), "worker": self.worker}

    def records(self):
        """Commands whose end no controller has heard, oldest first; not those of the other workers of this run."""
        found = [dict(read_json(path), path=path) for path in sorted(glob.glob(glob.escape(self.path("")) + ".*.json"))]
        return [record for record in found if not self.is_a_colleagues(record)]

    def is_a_colleagues(self, record):
        """Whether another worker of this run looks after it. What an earlier part of the run left is nobody's."""
        if self.worker is None or "worker" not in record:
            return False
        return record["worker"] != self.worker and record.get("sitting") == self.claim.get("at")

    def record_path(self, run, number):
        return self.path(".%s.%06d.json" % (re.sub(r"[^A-Za-z0-9_-]", "_", run), number))

    def output(self):
        """A new 0600 file for a command's output, open for writing."""
        return tempfile.mkstemp(prefix=self.name + ".", suffix=".out", dir=self.folder)


# ---------------------------------------------------------------- one command


class Follower:
    """Reads a growing file, in bounded pieces without secrets. `at` is how far what was read has come out again."""

    def __init__(self, path, kind, secrets, at=0):
        self.kind = kind
        self.redactor = Redactor(secrets)
        self.at = self.read = at
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(self.fd, at, os.SEEK_SET)

    def piece(self):
        """What is new as (frame's kind, payload), None where nothing is."""
        data = os.read(self.fd, CHUNK)
        self.read += len(data)
        return self.framed(self.redactor.feed(data)) if data else None

    def rest(self):
        """What was held back, since it might have become a secret."""
        return self.framed(self.redactor.feed(b"", last=True))

    def framed(self, piece):
        self.at = self.read - len(self.redactor.held)
        return (self.kind, PLACE.pack(self.at) + piece if self.kind == b"P" and piece else piece)


class Started:
    """A process that this agent starts, in a group of its own: its number, its exit code once it has one, signals."""

    def __init__(self, argv, **popen):
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **popen)
        self.pid = self.popen.pid

    @property
    def exit(self):
        return self.popen.returncode

    def ended(self):
        return self.popen.poll() is not None

    def stuck(self, silent):  # noqa: ARG002 - a started one is not suspected
        return False

    def signal(self, number):
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)


class Forked:
    """A process that the warm runner forks: its number once there is one, its exit code once it has ended.

    Where the runner is gone before it could say how this one ended, there is no exit code.
    """

    def __init__(self, runner):
        self.runner = runner
        self.asked = time.monotonic()
        self.began = self.next_look = 0.0
        self.pid = self.exit = self.gone = None
        self.over = self.at_work = False

    def take(self, message):
        """Hear what the runner, or the process itself, has to say of it."""
        if message["type"] == "forked":
            self.began = time.monotonic()
            self.pid = message["pid"]
            self.born = birth(self.pid)
        elif message["type"] == "exited":
            self.exit = message["exit"]
            self.over = True
        elif message["type"] == "at_work" and not self.at_work:
            self.at_work = True
            self.runner.slowest = max(self.runner.slowest, time.monotonic() - self.began)

    def ended(self):
        """Whether it has ended; a runner that does not say so, though it should, is not waited for."""
        if not self.over and self.pid is not None and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK
            if birth(self.pid) != self.born:
                self.gone = self.gone or time.monotonic()
                self.over = self.runner.over or time.monotonic() - self.gone > GRACE
        return self.over

    def unheard(self):
        """Whether the runner has been asked for it, has the project loaded, and does not answer."""
        if self.pid is not None or self.over or self.runner.ready is None:
            return False
        return time.monotonic() - max(self.asked, self.runner.ready) > self.runner.still

    def stuck(self, silent):
        """Whether it is silent, and has reached no database, longer than any before it: a fork can do that."""
        waits = silent and self.pid is not None and not self.at_work and not self.over
        return waits and time.monotonic() - self.began > max(self.runner.still, 3 * self.runner.slowest)

    def signal(self, number):
        if self.pid is None:
            self.over, self.exit = True, -number
            self.runner.close()  # it waits for our word, which never comes
            return
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)


class Runner:
    """The warm runner beside this agent: a process that has loaded the project, and forks a child for each command."""

    def __init__(self, state, still, argv, env, cwd):
        self.still = still  # seconds without a word and without a database that say nothing yet
        self.slowest = 0.0  # seconds that a command took to reach a database
        self.ready = None  # when it had loaded the project
        self.useless = False
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        self.buffer = b""
        self.over = False
        log, path = state.output()
        try:
            self.popen = subprocess.Popen(
                [str(theirs.fileno()) if arg is None else arg for arg in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=env,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        finally:
            os.close(log)
            remove([path])  # what the project prints while it is imported is nobody's output
            theirs.close()

    def fork(self, child, env):
        """Ask for a child; it starts when `go` is said."""
        request = child.request
        said = {"id": request["id"], "args": request["args"], "source": request.get("source", ""), "env": env}
        said.update(out=child.files[0][1], err=child.files[-1][1])
        self.say(said)
        return Forked(self)

    def go(self, number):
        self.say({"go": number})

    def say(self, message):
        self.line.setblocking(True)
        with contextlib.suppress(OSError):  # it is gone: `messages` finds out
            self.line.sendall(json.dumps(message).encode() + b"\n")
        self.line.setblocking(False)

    def messages(self):
        """What has been said since the last time; `over` where nothing more can come."""
        try:
            data = self.line.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line.decode()) for line in lines]

    def close(self):
        """End it. What it has forked goes on; what waits for its start ends."""
        if not self.over:
            self.over = True
            self.line.close()
            self.popen.kill()
            self.popen.wait()


class Ending:
    """Ends a process: SIGTERM to its group when its time is up or somebody asks, SIGKILL after the grace."""

    def __init__(self, process, timeout):
        self.process = process
        self.at = time.monotonic() + timeout if timeout else None
        self.begun = self.asked = False

    def ask(self):
        if not self.begun:
            self.asked = True
            self.at = time.monotonic()

    def enforce(self):
        if self.at is not None and time.monotonic() >= self.at:
            self.process.signal(signal.SIGKILL if self.begun else signal.SIGTERM)
            self.begun = True
            self.at = time.monotonic() + GRACE

    def due(self):
        """Seconds until it wants attention; None where it never does."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    def told(self):
        """What the end of the process says of this."""
        return {"timed_out": self.begun and not self.asked, "asked": self.begun and self.asked}


class Child:
    """A command at work: its process, its output files, its record (questions have none: they change nothing)."""

    def __init__(self, state, run, request, secrets):
        self.request = request
        self.secrets = secrets
        self.end = None
        self.stuck = False
        self.followers = []
        self.files = [state.output() for _ in range(2 if request.get("apart") else 1)]
        for (_, path), kind in zip(self.files, (b"O" if request.get("reads") else b"P", b"E")):
            self.followers.append(Follower(path, kind, secrets))
        self.record_path = None if request.get("reads") else state.record_path(run, request["id"])
        self.record = dict(state.mark(), run=run, label=request.get("label", ""), number=request["id"])
        self.record["started"] = time.time()
        self.record["outputs"] = [path for _, path in self.files]

    def start(self, argv, env, cwd):
        """Start it. The record stands before the process does, so that no start goes unrecorded."""
        self.save_record()
        out, err = self.files[0][0], self.files[-1][0]
        self.clock = time.monotonic()
        self.process = Started(argv, stdout=out, stderr=err, cwd=cwd, env=env, preexec_fn=self.note_process)
        self.record.update(pid=self.process.pid, born=birth(self.process.pid))
        self.ending = Ending(self.process, self.request.get("timeout"))

    def fork(self, runner, env):
        """Have it forked. It waits there until `take` has written its number down."""
        self.save_record()
        self.clock = time.monotonic()
        self.process = runner.fork(self, env)
        self.ending = Ending(self.process, self.request.get("timeout"))

    def take(self, message):
        """Hear what the runner says of it. True where it has just begun."""
        self.process.take(message)
        begins = message["type"] == "forked"
        if begins:
            self.try_record(pid=self.process.pid, born=self.process.born)
            self.process.runner.go(self.request["id"])
        return begins

    @property
    def waits(self):
        """Whether it has not begun: the warm runner has yet to fork it."""
        return self.process.pid is None and not self.process.ended()

    def note_process(self):
        """In the new process, before it becomes the command: whoever kills the agent now leaves no stranger.

        A full disk must not keep it from starting, and nothing can be said of it: stderr is the command's by now.
        """
        with contextlib.suppress(OSError):
            self.save_record(pid=os.getpid(), born=birth(os.getpid()))

    def look(self):
        """How it ended, or None. What a timeout left of the group is killed."""
        self.ending.enforce()
        if self.process.stuck(silent=not any(follower.read for follower in self.followers)):
            self.stuck = True
            self.process.signal(signal.SIGKILL)
        if self.end is None and self.process.ended():
            if self.ending.begun and self.process.pid is not None:
                self.process.signal(signal.SIGKILL)
            self.end = {
                "type": "ended",
                "id": self.request["id"],
                "exit": self.process.exit,
                "seconds": time.monotonic() - self.clock,
                "record": self.record_path,
                "full": self.process.exit != 0 and full(os.path.dirname(self.files[0][1])),
                "over": self.process.exit is None,
                "stuck": self.stuck,
                **self.ending.told(),
            }
        return self.end

    def save_record(self, **more):
        self.record.update(more)
        if self.record_path:
            write_json(self.record_path, self.record)

    def try_record(self, **more):
        """A record that can't be written (a full disk) must not stop the watch over a running command."""
        try:
            self.save_record(**more)
        except OSError as error:
            sys.stderr.write("opskit agent: %s\n" % error)

    def tail(self):
        """The end of the output, for a message of the next run; "" where somebody took the file away."""
        try:
            with open(self.files[0][1], "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * TAIL))  # a secret cut in two is not in the later half
                return Redactor(self.secrets).feed(file.read(), last=True)[-TAIL:].decode("utf-8", "replace")
        except OSError:
            return ""

    def close(self):
        """Write how it ended. The output stays until it is collected; a question's goes at once."""
        for fd in [fd for fd, _ in self.files] + [follower.fd for follower in self.followers]:
            os.close(fd)
        if self.record_path is None:
            remove(self.record["outputs"])
        elif self.end is not None:
            how = {"ended": time.time(), "exit": self.end["exit"], **self.ending.told()}
            self.try_record(**how)
            self.try_record(tail=self.tail())

    def discard(self):
        """It never started: leave no trace."""
        self.close()
        remove(self.record["outputs"] + [self.record_path or ""])


class Followed:
    """A command of this run that an earlier agent started: its output from `at` on, its end from its record.

    The agent that started it may still be there and write that record. Where it was killed, the command has no exit
    code. `over` is whether it is certain that it does not run, and is not going to: then the lock is ours.
    """

    waits = False  # it has begun

    def __init__(self, state, run, request, secrets, silence):
        self.state = state
        self.request = request
        self.secrets = secrets
        self.patience = silence  # seconds for the other agent to write down how it ended
        self.record_path = state.record_path(run, request["id"])
        self.record = {}
        self.followers = []
        self.end = self.gone = None
        self.next_look = 0.0
        self.ending = Ending(self, request.get("timeout"))
        self.read_record()

    def read_record(self):
        self.record = read_json(self.record_path) or self.record
        for path in self.record.get("outputs", [])[:1] if not self.followers else []:
            with contextlib.suppress(OSError):  # somebody took it away
                self.followers.append(Follower(path, b"P", self.secrets, self.request["at"]))

    def signal(self, number):
        if alive(self.record):
            with contextlib.suppress(OSError):
                os.killpg(self.record["pid"], number)

    def look(self):
        self.ending.enforce()
        if self.end is None and time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK
            self.read_record()
            if "ended" in self.record or self.is_gone():
                self.end = self.how()
        return self.end

    def is_gone(self):
        """Whether the process is gone, and nobody is there any more, or stirs, to say how it ended."""
        if alive(self.record):
            self.gone = None
            return False
        with contextlib.suppress(Refused):  # a full disk
            if self.state.hold():
                self.read_record()  # the last thing that the other agent did may have been to write it
                return True
        self.gone = self.gone or time.monotonic()
        return time.monotonic() - self.gone > self.patience

    def how(self):
        told = {name: self.record.get(name) is True or here for name, here in self.ending.told().items()}
        code = self.record.get("exit")
        return {
            "type": "ended",
            "id": self.request["id"],
            "exit": code if isinstance(code, int) else None,  # a record is a file, and files get broken
            "seconds": self.seconds(),
            "record": self.record_path,
            "over": "ended" in self.record or self.state.held is not None,
            **told,
        }

    def seconds(self):
        """How long it took, as far as the clock of this host knows."""
        began, ended = self.record.get("started"), self.record.get("ended", time.time())
        known = isinstance(began, (int, float)) and isinstance(ended, (int, float))
        return max(0.0, ended - began) if known else 0.0

    def close(self):
        for follower in self.followers:
            os.close(follower.fd)


def full(folder):
    """Whether nothing can be written there any more: then a command may have failed of that alone."""
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False


def remove(paths):
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


# ---------------------------------------------------------------- the agent


class Agent:
    """Reads frames, writes frames, watches one command; everything in one thread around one select."""

    def __init__(self, incoming, outgoing):
        self.incoming = incoming
        self.outgoing = outgoing
        self.buffer = b""
        self.queue = collections.deque()
        self.queued = 0
        self.connected = True
        self.leaving = False
        self.child = None
        self.state = None
        self.runner = None  # the warm one, once a command has asked for it
        self.trouble = 0  # how often that let us down
        self.remarks = []  # what the operator should know, at the end of the next command
        self.opened = None
        self.beat = 5.0
        self.silence = 60.0
        self.heard = self.said = time.monotonic()
        os.set_blocking(incoming, False)
        os.set_blocking(outgoing, False)
        self.wake, wake_w = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_w, False)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.hang_up())

    # -- frames out

    def say(self, **message):
        self.send(b"J", json.dumps(message).encode())

    def send(self, kind, payload):
        if self.connected and payload:
            self.queue.append(HEADER.pack(kind, len(payload)) + payload)
            self.queued += len(payload)
            self.said = time.monotonic()

    def flush(self):
        while self.queue and self.connected:
            data = self.queue.popleft()
            try:
                written = os.write(self.outgoing, data)
            except BlockingIOError:
                written = 0
            except OSError:
                return self.hang_up()
            self.queued -= written
            if written < len(data):
                self.queue.appendleft(data[written:])
                return None
        if not self.queue:
            self.queued = 0
        return None

    def hang_up(self):
        """The controller is gone. What is at work goes on to its end."""
        if self.connected and self.state is not None:
            self.state.abandoned()
        self.connected = False
        self.leaving = True
        self.queue.clear()
        self.queued = 0

    # -- frames in

    def listen(self):
        if time.monotonic() - self.heard > self.silence:  # we were stopped, and are given up: what is in there is stale
            self.hang_up()
            return
        try:
            data = os.read(self.incoming, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            return
        self.heard = time.monotonic()
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            _, length = HEADER.unpack_from(self.buffer)
            if len(self.buffer) < HEADER.size + length:
                return
            payload = self.buffer[HEADER.size : HEADER.size + length]
            self.buffer = self.buffer[HEADER.size + length :]
            self.obey(json.loads(payload.decode()))

    def obey(self, message):
        kind = message["type"]
        if kind == "open":
            self.open(message)
        elif kind == "lock":
            self.enter()
        elif kind == "run":
            self.run(message)
        elif kind == "follow":
            self.follow_up(message)
        elif kind == "end" and self.child is not None:
            self.child.ending.ask()
        elif kind == "collected":
            self.collected(message["path"])
        elif kind == "bye":
            self.leaving = True

    def open(self, message):
        self.beat = message["beat"]
        self.silence = message["silence"]
        if self.answers(self.prepare, message):
            self.enter()

    def enter(self):
        """Take the lock, where one was asked for, and say what is here; or who has it."""
        if self.opened is not None:
            self.answers(self.take_over)

    def answers(self, step, *args):
        """Do a step of the opening; False where it was refused. Who is patient may ask for the lock again."""
        try:
            step(*args)
        except Refused as refusal:
            locked = refusal.why == "locked"
            here = self.here() if locked else {}
            self.say(type="refused", why=refusal.why, message=str(refusal), **refusal.more, **here)
            self.leaving = not locked or not self.opened.get("patient")
        except OSError as error:
            where = "`%s`: " % error.filename if error.filename else ""
            self.say(type="refused", why="state_dir", message=where + (error.strerror or str(error)).lower())
            self.leaving = True
        else:
            return True
        return False

    def prepare(self, message):
        env = dict(os.environ)
        from_file = read_env_file(os.path.expanduser(message["env_file"])) if message["env_file"] else {}
        env.update(from_file)
        env.update(message["env"])
        if env.get("TMPDIR"):
            os.environ["TMPDIR"] = env["TMPDIR"]  # where tempfile looks for it, here and in the commands
        env["PYTHONUNBUFFERED"] = "1"
        env.setdefault("PYTHONIOENCODING", "utf-8:backslashreplace")
        self.env = env
        names = [name for name in from_file if SECRET_NAME.search(name)]
        self.secrets = secret_values(env, names + message["secrets"], message.get("values") or [])
        # Who only asks leaves no trace: the answers' files are gone before anybody could look for them.
        folder = state_folder(message["state_dir"]) if message["lock"] else temporary_folder()
        self.state = State(folder, message["path"], message["holder"], message.get("worker"))
        self.path = enter_project(message["path"], message["manage"])
        self.opened = message

    def take_over(self):
        if self.opened["lock"]:
            self.state.take_lock()
        self.say(type="ready", **self.here())

    def here(self):
        """What is here."""
        return {
            "path": self.path,
            "pid": os.getpid(),
            "python": "%d.%d.%d" % sys.version_info[:3],
            "revision": revision(self.path),
            "records": self.state.records() if self.opened["lock"] else [],
        }

    def run(self, message):
        """Start a command. Without the lock only questions are started, and never two at once."""
        if self.child is not None or self.opened is None or self.leaving:
            self.refuse(message, "the agent is not free")
        elif self.state.lock is None and not message.get("reads"):
            self.refuse(message, "the agent does not hold the lock")
        else:
            self.start(message)

    def start(self, message):
        child = None
        try:
            child = Child(self.state, self.opened["run"], message, self.secrets)
            runner = self.warm(message)
            if runner is not None:
                child.fork(runner, settings_of(environment_of(self.env, message), self.env))
            else:
                self.start_cold(child)
        except (OSError, ValueError) as error:  # no such program, a NUL in an argument, a full disk
            self.not_started(message, child, error)
        else:
            self.child = child

    def start_cold(self, child):
        message = child.request
        child.start(self.argv(message), environment_of(self.env, message), self.path)
        self.say(type="started", id=message["id"], pid=child.process.pid)

    def not_started(self, message, child, error):
        self.child = None
        if child is not None:
            child.discard()
        self.refuse(message, "%s: %s" % (type(error).__name__, error))

    # -- the warm runner

    def warm(self, message):
        """The runner that is to fork this command; None where it is to be started cold."""
        how, command = (
            self.opened.get("warm"),
            message.get("warm"),
        )  # {"source", "still", "everywhere"}, a command's name
        if not how or not command or self.trouble >= TROUBLE or (sys.platform == "darwin" and not how["everywhere"]):
            return None
        if any("\0" in arg or arg.startswith(("--settings", "--pythonpath")) for arg in message["args"]):
            return None  # the last two would come too late
        if not speaks_of_django(self.opened["manage"]):
            return None  # it would run commands of its own, and nothing here could be forked
        if self.runner is None or self.runner.over:
            argv = [sys.executable or "python3", "-u", "-c", how["source"], self.opened["manage"], None]
            self.runner = Runner(self.state, how["still"], argv, self.env, self.path)
        return self.runner

    def hear_runner(self):
        for message in self.runner.messages():
            kind = message["type"]
            if kind == "ready":
                self.runner.ready = time.monotonic()
                self.remark_set_up(message)
            elif kind == "unable":
                self.cool("the project could not be loaded for it: %s" % message["why"])
            elif kind == "not_forked":
                self.cool("it could not fork: %s" % message["error"])
            elif kind == "late":
                self.remark("a command imported code that is newer than this run: %s" % ", ".join(message["modules"]))
            elif self.child is not None and self.child.request["id"] == message["id"] and self.child.take(message):
                self.say(type="started", id=message["id"], pid=message["pid"])
        if self.runner.over:
            self.cool("it ended by itself")

    def remark_set_up(self, message):
        threads, opened = ", ".join(message["threads"]), ", ".join(message["opened"])
        if threads:
            self.remark("the project's set-up started threads, which a forked command does not have: %s" % threads)
        if opened:
            self.remark("the project's set-up connected to %s: closed before the first command" % opened)

    def remark(self, text):
        self.remarks.append(text)

    def cool(self, why):
        """The runner is no use. What waits for it starts cold; after three times so does everything."""
        if self.runner.useless:
            return
        self.runner.useless = True
        self.runner.close()
        self.trouble += 1
        ever = "; from here on every command starts by itself" if self.trouble == TROUBLE else ""
        self.remark("the warm runner was given up: %s%s" % (why, ever))
        if self.child is not None and self.child.waits:
            try:
                self.start_cold(self.child)
            except (OSError, ValueError) as error:
                self.not_started(self.child.request, self.child, error)

    def follow_up(self, message):
        """Follow a command of this run that an earlier agent started."""
        if self.child is not None or self.opened is None or self.leaving:
            self.refuse(message, "the agent is not free")
            return
        self.child = Followed(self.state, self.opened["run"], message, self.secrets, self.silence)
        record = self.child.record
        self.say(type="following", id=message["id"], pid=record.get("pid"), alive=alive(record))

    def argv(self, message):
        python = sys.executable or "python3"
        if message.get("source"):
            return [python, "-u", "-c", message["source"]] + message["args"]
        return [python, "-u", self.opened["manage"]] + message["args"]

    def refuse(self, message, why):
        self.say(type="not_started", id=message["id"], error=why)

    def collected(self, path):
        """A controller has heard how this command ended: the record and its output may go."""
        if path in [record["path"] for record in self.state.records()]:
            remove([left for left in read_json(path).get("outputs", []) if left.startswith(self.state.path("."))])
            remove([path])

    # -- the command at work

    def follow(self):
        """Send what it has printed, as far as the line takes it. True when all there is has been sent."""
        for follower in self.child.followers:
            while self.connected:
                if self.queued >= BACKLOG:
                    return False
                piece = follower.piece()
                if piece is None:
                    break
                self.send(*piece)
                self.flush()
        return True

    def attend(self):
        """Look after the command: its timeout, its output, its end."""
        if self.child.waits and self.child.process.unheard():
            self.cool("it did not answer for %.0f s" % self.runner.still)
        if self.child is None:  # it could not be started cold either
            return
        ended = self.child.look()
        if self.follow() and ended is not None:
            for follower in self.child.followers:
                self.send(*follower.rest())
            child, self.child = self.child, None
            child.close()
            if ended.get("stuck"):
                self.cool("a command reached no database and said nothing for %.0f s" % ended["seconds"])
            for text in self.remarks:
                self.say(type="remark", text=Redactor(self.secrets).feed(text.encode(), last=True).decode())
            self.remarks.clear()
            self.say(**ended)

    # -- the loop

    def loop(self):
        while self.child is not None or not self.leaving or (self.queue and self.connected):
            self.keep_time()
            warm = [self.runner.line] if self.runner is not None and not self.runner.over else []
            reads = [self.wake] + ([self.incoming] if self.connected else []) + warm
            writes = [self.outgoing] if self.connected and self.queue else []
            ready, writable, _ = select.select(reads, writes, [], self.patience())
            if self.wake in ready:
                os.read(self.wake, 4096)
            if self.incoming in ready:
                self.listen()
            if warm and warm[0] in ready:
                self.hear_runner()
            if writable:
                self.flush()
            if self.child is not None:
                self.attend()
            self.flush()
        if self.runner is not None:
            self.runner.close()

    def patience(self):
        """Seconds to sleep at most: the next look at the output, the next deadline, the next beat."""
        waits = [self.beat]
        if self.child is not None:
            if self.connected and self.queued < BACKLOG:
                waits.append(FOLLOW)
            if self.child.ending.due() is not None:
                waits.append(self.child.ending.due())
        return min(waits)

    def keep_time(self):
        now = time.monotonic()
        if self.connected and now - self.said >= self.beat:
            self.say(type="beat")
        if self.connected and now - self.heard > self.silence:
            self.hang_up()


def main():
    """Keep the line to the controller for frames alone, and serve."""
    if sys.version_info < (3, 8):
        sys.exit("app.python is Python %d.%d: the agent needs 3.8 or newer" % sys.version_info[:2])
    outgoing = os.dup(1)
    incoming = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(2, 1)
    os.dup2(null, 0)
    Agent(incoming, outgoing).loop()


if __name__ == "__main__":
    main()
