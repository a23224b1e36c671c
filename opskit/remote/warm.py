"""The warm runner: the project, loaded once by manage.py, which forks a child for every command.

This text runs on the host, by itself, with the project's folder as working directory::

    python -u -c <this text> <manage.py> <descriptor of a socket>

The agent says a line of JSON a command on the socket::

    {"id": 7, "args": ["migratetenant", …], "source": "", "env": {…}, "out": path, "err": path}

`source` is the text of a question; "" is a management command. A forked child waits until the agent, having
written down its number, says `{"go": 7}`; without that it ends and has done nothing. While a command is at work
the fork for the next one is made ahead. Where another process of the run has been asked with which histories
tenants wait, the agent says that: `{"waits": [[name, …], …]}`. The answers are lines of JSON, too::

    {"type": "ready", "threads": [name, …], "opened": [alias, …]}    the project is loaded
    {"type": "unable", "why": …}                                     it can't be: nothing was forked
    {"type": "forked", "id", "pid"} or {"type": "not_forked", "id", "error"}
    {"type": "at_work", "id"}                                        the child reached a database
    {"type": "late", "id", "modules": [name, …]}                     it imported code newer than what was loaded
    {"type": "exited", "id", "exit"}                                 negative for a signal

A child is a process group of its own, inside manage.py where it would run a command: whatever manage.py does
after that, and how the interpreter ends, is as if it had been started for this one. It shares what the
project's import made: modules, the app registry, settings. Database connections are closed before each fork.
When the agent is gone, this process ends; its children go on.

Standard library and Django only, Python 3.8 and newer.
"""

# ruff: noqa: PLC0415 - Django comes in where the project is about to be started, or has been

import atexit
import contextlib
import gc
import importlib
import itertools
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
import warnings

PREPARING = 10  # seconds at most, for a fork that is made ahead
BUILDING = 30.0  # seconds at most, before a command, for what it will look at
LARGEST = 1 << 20  # bytes of a history's names
NAMED = 5  # modules, of those that a child imported late
RARELY = (100_000, 100, 100)  # the collector's thresholds while the project is imported


# ---------------------------------------------------------------- the start: as manage.py would


def main():
    manage, descriptor = sys.argv[1:3]
    runner = Runner(socket.socket(fileno=int(descriptor)), manage)
    error = None
    try:
        start(runner)
    except BaseException as raised:  # noqa: BLE001 - a manage.py, and a command, may end in any way
        error = raised
    if runner.forked:
        leave(end(error))
    never = "%s never reached execute_from_command_line" % manage
    runner.say(type="unable", why=reason(error) if error is not None else never)


def start(runner):
    """Run manage.py up to where it would run a command, and serve there."""
    path = os.path.abspath(runner.manage)
    sys.path[:] = [os.path.dirname(path)] + [entry for entry in sys.path if entry]
    from django.core import management

    execute = management.ManagementUtility.execute

    def served(utility):
        management.ManagementUtility.execute = execute
        runner.serve()  # returns in a child only
        utility.argv = sys.argv[:]
        return execute(utility)

    management.ManagementUtility.execute = served
    sys.argv = [runner.manage, "check"]  # harmless, for a manage.py that has commands of its own
    runpy.run_path(path, run_name="__main__")


def reason(error):
    return " ".join(("%s: %s" % (type(error).__name__, error)).split())


# ---------------------------------------------------------------- what is loaded, once


def load(tell):
    """The apps, the migrations and the database backends; the aliases of the connections that this had opened.

    Where the project has opskit's own app, `tell` hears in a forked question which histories its tenants wait with.
    """
    import django

    django.setup()
    quietly(load_migrations)
    quietly(load_routers)
    quietly(share, tell)
    return disconnect()


def share(tell):
    from django.apps import apps

    if apps.is_installed("opskit.tenants"):
        importlib.import_module("opskit.tenants.priming").begin(tell)


def build(told, until):
    importlib.import_module("opskit.tenants.priming").build(json.loads(told.decode()), until)


@contextlib.contextmanager
def seldom_collected():
    """A block in which garbage is seldom looked for: among what is imported there is little."""
    usual = gc.get_threshold()
    gc.set_threshold(*RARELY)
    yield
    if gc.get_threshold() == RARELY:  # the project has set none of its own
        gc.set_threshold(*usual)


def load_migrations():
    from django.db.migrations import executor, loader, recorder

    assert executor  # it is imported for the children, too  # noqa: S101
    loader.MigrationLoader(None, load=False).load_disk()
    assert recorder.MigrationRecorder.Migration  # Django makes this model where it is first asked for  # noqa: S101


def load_routers():
    from django.db import router

    assert router.routers is not None  # noqa: S101 - to ask for them is to import them


def load_command(name):
    """What only a command needs, and no question: its module, Django's own migrate, and what system checks import."""
    quietly(import_command, name)
    quietly(import_command, "migrate")
    quietly(import_receivers)
    quietly(import_urls)
    quietly(run_checks)
    quietly(connect_once)


def import_command(name):
    from django.core import management

    management.load_command_class(management.get_commands()[name], name)


def import_receivers():
    """As migrate does (django/core/management/commands/migrate.py, 5.2): who hears its signals is in there."""
    from django.apps import apps
    from django.utils.module_loading import module_has_submodule

    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "management"):
            quietly(importlib.import_module, ".management", config.name)


def import_urls():
    from django.urls import get_resolver

    assert get_resolver().url_patterns is not None  # noqa: S101 - to ask for them is to import them


def run_checks():
    from django.core import checks

    checks.run_checks()  # without databases: none is asked


def prepare():
    """In a fork made ahead: go through what a command goes through before it asks a database.

    Nothing of it is kept. But the pages of memory that it writes on are copied by then.
    """
    quietly(run_checks)
    quietly(build_graph)
    disconnect()


def build_graph():
    from django.db.migrations import loader

    loader.MigrationLoader(None)


def connect_once():
    """What the driver makes of its libraries at its first connection is most of what a connection costs."""
    from django.db import connection

    if connection.vendor == "postgresql":  # SQLite would make a file
        connection.Database.connect(**{"connect_timeout": 10, **connection.get_connection_params()}).close()


def quietly(function, *args):
    """What can't be imported here, the child imports where it needs it, and says why it can't."""
    with contextlib.suppress(Exception, SystemExit):
        function(*args)


def disconnect():
    """Close every connection of this thread; the aliases of those that were open."""
    from django.db import connections

    opened = []
    for alias in connections:
        quietly(close, connections, alias, opened)
    return opened


def close(connections, alias, opened):
    connection = connections[alias]
    if connection.connection is not None:
        opened.append(alias)
    connection.close()
    getattr(connection, "close_pool", list)()


# ---------------------------------------------------------------- the runner


class Runner:
    """Reads requests, forks, tells who ended. In a child, `serve` returns."""

    def __init__(self, line, manage):
        self.line = line
        self.manage = manage
        self.buffer = b""
        self.children = {}  # {pid: the request's id; None: it has none yet}
        self.gates = {}  # {pid of a child that has not begun: a socket, on which it hears what it is to do}
        self.requests = {}  # {id: (a request, the pid of the child that will do it when the agent says go)}
        self.ahead = None  # the pid of the child that was made ahead of its command
        self.forked = False  # whether this process is a child
        self.equipped = set()  # the commands whose own imports are done
        self.hears, self.tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # of histories, from questions
        self.hears.setblocking(False)
        self.tells.setblocking(False)

    def say(self, **message):
        with contextlib.suppress(OSError):
            self.line.sendall(json.dumps(message).encode() + b"\n")

    def serve(self):
        self.load()
        wake, wakes = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wakes, False)
        self.pipes = [wake, wakes]
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while not self.forked:
            select.select([self.line, wake], [], [])
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            self.reap()
            self.listen()

    def load(self):
        try:
            with seldom_collected():
                opened = load(self.tell)
        except BaseException as error:  # noqa: BLE001 - a project may end in any way while it is imported
            traceback.print_exc()
            self.say(type="unable", why=reason(error))
            leave(1)
        self.loaded = time.time()
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        self.say(type="ready", threads=others, opened=opened)

    def reap(self):
        for pid in list(self.children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                self.bury(pid, code)

    def bury(self, pid, code):
        number = self.children.pop(pid)
        if pid in self.gates:  # somebody has killed it before it began
            self.gates.pop(pid).close()
        if pid == self.ahead:
            self.ahead = None
        if number is not None:
            self.say(type="exited", id=number, exit=code)

    def listen(self):
        """Fork for every request that has come whole. At the end of the line there is nobody to serve."""
        try:
            data = self.line.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            leave(0)
        self.buffer += data
        while b"\n" in self.buffer and not self.forked:
            line, _, self.buffer = self.buffer.partition(b"\n")
            message = json.loads(line.decode())
            if "go" in message:
                self.let_go(message["go"])
            elif "waits" in message:
                for history in message["waits"]:
                    self.tell([name.split(".", 1) for name in history])
            else:
                self.fork(message)

    def let_go(self, number):
        request, pid = self.requests.pop(number)
        if pid in self.gates:
            with contextlib.suppress(OSError), self.gates.pop(pid) as gate:
                gate.sendall(json.dumps(request).encode())
        if not request["source"] and self.ahead is None:
            with contextlib.suppress(OSError):
                self.ahead = self.make(prepare)

    def fork(self, request):
        try:
            pid = self.make() if request["source"] else self.made(request["args"][0])
        except OSError as error:
            self.say(type="not_forked", id=request["id"], error=reason(error))
            return
        if not self.forked:
            self.children[pid] = request["id"]
            self.requests[request["id"]] = request, pid
            self.say(type="forked", id=request["id"], pid=pid)

    def made(self, command):
        """The child that was made ahead, where it is ready and there was nothing to load since; else a new one."""
        new = self.equip(command)
        pid, self.ahead = self.ahead, None
        if pid is not None:
            if not new and self.is_ready(pid):
                return pid
            self.gates.pop(pid).close()
            os.kill(pid, signal.SIGKILL)
        return self.make()

    def is_ready(self, pid):
        try:
            return self.gates[pid].recv(1, socket.MSG_DONTWAIT) != b""
        except OSError:
            return False

    def make(self, prepare=None):
        """Fork a child that waits for its request, prepared where that is asked for; its number. In it, 0, then."""
        disconnect()
        gc.freeze()  # what is here to stay is not looked at, and so not copied, in the children
        flush()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of threads: the agent was told
                    pid = os.fork()
            except OSError:
                ours.close()
                raise
            if pid:
                self.children[pid], self.gates[pid] = None, ours
            else:
                ours.close()
                self.forked = True
                Child(self).begin(theirs, prepare)
        return pid

    def equip(self, command):
        """Load what this command needs, and build what questions told of. Whether there was anything to do."""
        new = command not in self.equipped
        if new:
            self.equipped.add(command)
            load_command(command)
        until = time.monotonic() + BUILDING
        with contextlib.suppress(BlockingIOError):
            while True:
                told = self.hears.recv(LARGEST)
                new = True
                quietly(build, told, until)
        return new

    def tell(self, history):
        """In a question: each command after it finds built what tenants with this history look at."""
        with contextlib.suppress(OSError):  # it is too long, or they are too many
            self.tells.send(json.dumps(history).encode())


def end(error):
    """Do what the interpreter does at the end of a program, but tear down what is not the child's own; its exit code.

    (Python 3.8 to 3.13, Py_RunMain and Py_FinalizeEx: wait for threads, run atexit, flush.)
    """
    code = said(error)
    quietly(threading._shutdown)  # noqa: SLF001 - as the interpreter does
    quietly(atexit._run_exitfuncs)  # noqa: SLF001
    return code if flush() else code or 120


def said(error):
    """The exit code of what a program ended with, and its traceback on stderr where that is how it ends."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write("%s\n" % (error.code,))
    return 1


def leave(code):
    flush()
    os._exit(code)


def flush():
    """Whether what was printed is out, as far as it can be."""
    out = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001 - closed, or taken away
            out = False
    return out


# ---------------------------------------------------------------- a child


class Child:
    """The forked process, until it is what a started one would be."""

    def __init__(self, runner):
        self.runner = runner
        self.last = next(reversed(sys.modules))

    def begin(self, line, prepare):
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in self.runner.pipes:
            os.close(descriptor)
        for gate in self.runner.gates.values():
            gate.close()
        if prepare is not None:
            self.ready(line, prepare)
        self.request = self.hear(line)
        replace(0, os.devnull, os.O_RDONLY)
        replace(1, self.request["out"], os.O_WRONLY | os.O_APPEND)
        replace(2, self.request["err"], os.O_WRONLY | os.O_APPEND)
        os.environ.update(self.request["env"])
        self.watch()
        self.runner.hears.close()
        if self.request["source"]:
            answer(self.request["source"], self.request["args"])
        self.runner.tells.close()  # nobody hears what a command makes of its copy
        sys.argv[:] = [self.runner.manage] + self.request["args"]

    def ready(self, line, prepare):
        """Prepare, and say so. One that hangs in a project's check is ended: it would not hear that the run is over."""
        usual = signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PREPARING)
        prepare()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual or signal.SIG_DFL)
        with contextlib.suppress(OSError):  # there is nobody any more: it hears so
            line.sendall(b".")

    def hear(self, line):
        """What it is to do. Where nothing is said any more, it ends and has done nothing."""
        try:
            pieces = list(iter(lambda: line.recv(65536), b""))
            return json.loads(b"".join(pieces).decode())
        except (OSError, ValueError):
            os._exit(0)

    def watch(self):
        """Tell the agent of the first connection to a database, and at the end of late imports."""
        from django.db.backends import signals

        def connected(**_):
            signals.connection_created.disconnect(connected)
            self.runner.say(type="at_work", id=self.request["id"])

        signals.connection_created.connect(connected, weak=False)
        atexit.register(self.tell_late)

    def tell_late(self):
        imported = itertools.takewhile(lambda name: name != self.last, reversed(sys.modules))
        late = [name for name in imported if newer(sys.modules[name], self.runner.loaded)]
        if late:
            self.runner.say(type="late", id=self.request["id"], modules=sorted(late)[:NAMED])


def replace(descriptor, path, flags):
    opened = os.open(path, flags)
    os.dup2(opened, descriptor)
    os.close(opened)


def newer(module, loaded):
    try:
        return os.stat(module.__file__).st_mtime > loaded
    except (AttributeError, OSError, TypeError):
        return False


def answer(source, args):
    """Run a question as `python -c` would, and end."""
    sys.argv[:] = ["-c", *args]
    error = None
    try:
        exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - as the agent's own text is
    except BaseException as raised:  # noqa: BLE001 - it may end in any way
        error = raised
    leave(end(error))


if __name__ == "__main__":
    main()
