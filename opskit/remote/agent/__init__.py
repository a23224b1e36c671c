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

What lives where, from the ground up, each importing from those above it alone:

frames      how what is said is written; the refusal
line        the line to the controller, on which that is said and heard
files       folders and files for their owner alone, written whole
processes   whether one lives; one that is started here; how one is ended
redaction   what must not leave the host
output      a command's output, followed while it is written, without that
project     the project's folder, revision and variables
state       the lock, and the records of commands
command     one command at work
runner      the warm runner (`remote/warm.py`), and what it forks for a command
followed    one command that an earlier agent started
loop        all of it, around one `select`
boot        how these modules come out of the one text that travels
"""
