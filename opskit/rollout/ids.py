"""Whether a tenant's id can be handed to a program at all."""

from __future__ import annotations

# Bytes. Linux lets one argument or variable have 128 KB (MAX_ARG_STRLEN); an option or a name stands before the id.
_LONGEST = 128 * 1024 - 256


def trouble(name: str) -> str:
    """Why no command, gate or hook can be given an id; "" where they can.

    A byte that is no UTF-8 may stand in one, as in Python's file names (surrogateescape); half a character may not.
    """
    try:
        encoded = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "its id holds half a character"
    if b"\0" in encoded:
        return "its id holds a NUL"
    return "its id is longer than 127 KB" if len(encoded) > _LONGEST else ""
