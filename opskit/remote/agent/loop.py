"""The agent itself: everything in one thread around one select."""

import os
import select
import signal
import sys
import time

from . import command, files, followed, frames, line, processes, project, redaction, runner, state

FOLLOW = 0.03  # seconds between looks at the output while a command runs; its end is a signal
TROUBLE = 3  # times that the warm runner may let us down


class Agent:
    """Does what the controller says, watches one command; everything in one thread around one select."""

    def __init__(self, incoming, outgoing):
        self.line = line.Line(incoming, outgoing, self.abandoned)
        self.leaving = False
        self.child = None
        self.state = None
        self.runner = None  # the warm one, once a command has asked for it
        self.trouble = 0  # how often that let us down
        self.remarks = []  # what the operator should know, at the end of the next command
        self.opened = None
        self.wake, wake_w = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_w, False)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.line.hang_up())

    # -- what the controller says

    def abandoned(self):
        """The controller is gone. What is at work goes on to its end."""
        if self.state is not None:
            self.state.abandoned()
        self.leaving = True

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
        self.line.beat = message["beat"]
        self.line.silence = message["silence"]
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
        except frames.Refused as refusal:
            locked = refusal.why == "locked"
            here = self.here() if locked else {}
            self.line.say(type="refused", why=refusal.why, message=str(refusal), **refusal.more, **here)
            self.leaving = self.leaving or not locked or not self.opened.get("patient")
        except OSError as error:
            where = "`%s`: " % error.filename if error.filename else ""
            self.line.say(type="refused", why="state_dir", message=where + (error.strerror or str(error)).lower())
            self.leaving = True
        else:
            return True
        return False

    def prepare(self, message):
        env = dict(os.environ)
        from_file = project.read_env_file(os.path.expanduser(message["env_file"])) if message["env_file"] else {}
        env.update(from_file)
        env.update(message["env"])
        if env.get("TMPDIR"):
            os.environ["TMPDIR"] = env["TMPDIR"]  # where tempfile looks for it, here and in the commands
        env["PYTHONUNBUFFERED"] = "1"
        env.setdefault("PYTHONIOENCODING", "utf-8:backslashreplace")
        self.env = env
        names = [name for name in from_file if redaction.SECRET_NAME.search(name)]
        self.secrets = redaction.secret_values(env, names + message["secrets"], message.get("values") or [])
        # Who only asks leaves no trace: the answers' files are gone before anybody could look for them.
        folder = files.state_folder(message["state_dir"]) if message["lock"] else files.temporary_folder()
        self.state = state.State(folder, message["path"], message["holder"], message.get("worker"))
        self.path = project.enter(message["path"], message["manage"])
        self.opened = message

    def take_over(self):
        if self.opened["lock"]:
            self.state.take_lock()
        self.line.say(type="ready", **self.here())

    def here(self):
        """What is here."""
        return {
            "path": self.path,
            "pid": os.getpid(),
            "python": "%d.%d.%d" % sys.version_info[:3],
            "revision": project.revision(self.path),
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
            child = command.Child(self.state, self.opened["run"], message, self.secrets)
            warm = self.warm(message)
            if warm is not None:
                child.fork(warm, project.settings_of(project.environment_of(self.env, message), self.env))
            else:
                self.start_cold(child)
        except (OSError, ValueError) as error:  # no such program, a NUL in an argument, a full disk
            self.not_started(message, child, error)
        else:
            self.child = child

    def start_cold(self, child):
        message = child.request
        child.start(self.argv(message), project.environment_of(self.env, message), self.path)
        self.line.say(type="started", id=message["id"], pid=child.process.pid)

    def not_started(self, message, child, error):
        self.child = None
        if child is not None:
            child.discard()
        self.refuse(message, "%s: %s" % (type(error).__name__, error))

    # -- the warm runner

    def warm(self, message):
        """The runner that is to fork this command; None where it is to be started cold."""
        how = self.opened.get("warm")  # {"source", "still", "everywhere", "waits"}
        if not how or not message.get("warm") or self.trouble >= TROUBLE:
            return None
        if sys.platform == "darwin" and not how["everywhere"]:
            return None
        if any("\0" in arg or arg.startswith(("--settings", "--pythonpath")) for arg in message["args"]):
            return None  # the last two would come too late
        if not project.speaks_of_django(self.opened["manage"]):
            return None  # it would run commands of its own, and nothing here could be forked
        if self.runner is None or self.runner.over:
            argv = [sys.executable or "python3", "-u", "-c", how["source"], self.opened["manage"], None]
            self.runner = runner.Runner(self.state, how["still"], argv, self.env, self.path)
            self.runner.say({"waits": how.get("waits", [])})
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
                self.line.say(type="started", id=message["id"], pid=message["pid"])
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
        self.child = followed.Followed(self.state, self.opened["run"], message, self.secrets, self.line.silence)
        record = self.child.record
        self.line.say(type="following", id=message["id"], pid=record.get("pid"), alive=processes.alive(record))

    def argv(self, message):
        python = sys.executable or "python3"
        if message.get("source"):
            return [python, "-u", "-c", message["source"]] + message["args"]
        return [python, "-u", self.opened["manage"]] + message["args"]

    def refuse(self, message, why):
        self.line.say(type="not_started", id=message["id"], error=why)

    def collected(self, path):
        """A controller has heard how this command ended: the record and its output may go."""
        if path in [record["path"] for record in self.state.records()]:
            outputs = files.read_json(path).get("outputs", [])
            files.remove([left for left in outputs if left.startswith(self.state.path("."))])
            files.remove([path])

    # -- the command at work

    def follow(self):
        """Send what it has printed, as far as the line takes it. True when all there is has been sent."""
        for follower in self.child.followers:
            while self.line.connected:
                if self.line.full():
                    return False
                piece = follower.piece()
                if piece is None:
                    break
                self.line.send(*piece)
                self.line.flush()
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
                self.line.send(*follower.rest())
            child, self.child = self.child, None
            child.close()
            if ended.get("stuck"):
                self.cool("a command reached no database and said nothing for %.0f s" % ended["seconds"])
            for text in self.remarks:
                clean = redaction.Redactor(self.secrets).feed(text.encode(), last=True)
                self.line.say(type="remark", text=clean.decode())
            self.remarks.clear()
            self.line.say(**ended)

    # -- the loop

    def loop(self):
        while self.child is not None or not self.leaving or self.line.writes():
            self.line.keep_time()
            warm = [self.runner.line] if self.runner is not None and not self.runner.over else []
            reads = [self.wake, *self.line.reads(), *warm]
            ready, writable, _ = select.select(reads, self.line.writes(), [], self.patience())
            if self.wake in ready:
                os.read(self.wake, 4096)
            if self.line.incoming in ready:
                for message in self.line.messages():
                    self.obey(message)
            if warm and warm[0] in ready:
                self.hear_runner()
            if writable:
                self.line.flush()
            if self.child is not None:
                self.attend()
            self.line.flush()
        if self.runner is not None:
            self.runner.close()

    def patience(self):
        """Seconds to sleep at most: the next look at the output, the next deadline, the next beat."""
        waits = [self.line.beat]
        if self.child is not None:
            if self.line.connected and not self.line.full():
                waits.append(FOLLOW)
            if self.child.ending.due() is not None:
                waits.append(self.child.ending.due())
        return min(waits)


def main():
    """Keep the line to the controller for frames alone, and serve."""
    outgoing = os.dup(1)
    incoming = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(2, 1)
    os.dup2(null, 0)
    Agent(incoming, outgoing).loop()
