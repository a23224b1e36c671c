"""Where the `opskit` program begins: `python -m opskit` is the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program. Importing what it needs takes a few tenths of a second: Ctrl-C is one word then, too."""
    try:
        from opskit.tasks import program  # noqa: PLC0415 - that is what takes its time

        program.main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
