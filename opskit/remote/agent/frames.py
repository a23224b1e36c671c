"""How what is said on the line is written, and the answer of who can't start."""

import struct

HEADER = struct.Struct(">cI")
PLACE = struct.Struct(">Q")
CHUNK = 256 * 1024  # bytes read at once


class Refused(Exception):  # noqa: N818 - it is an answer
    """The run can't start on this host. `why` is a word for the controller, the message is for people."""

    def __init__(self, why, message, **more):
        super().__init__(message)
        self.why = why
        self.more = more
