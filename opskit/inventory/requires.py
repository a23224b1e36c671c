"""Which environment must come before which."""

from collections.abc import Callable, Iterable


def circle(name: str, required_by: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """The way from `name` back to it, both ends named; none where there is no such way."""
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for each in required_by(way[-1]):
            if each == name:
                return (*way, name)
            if each not in seen:
                seen.add(each)
                ways.append((*way, each))
    return ()
