"""What a failure has in common with those of other tenants: the exception, the SQLSTATE, the migration, the sentence.

Pure, of what was printed. Names, numbers and ids are taken out of the sentence: they are what tells tenants apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opskit import model

APPLIED = re.compile(r"Applying (\S+?)\.\.\..*?(?:OK|FAKED)\s*$")
_APPLYING = re.compile(r"Applying (\S+?)\.\.\.")

RETRYABLE = frozenset({"55P03", "40P01", "40001"})
"""The SQLSTATEs of what may be gone the next time: somebody else's lock, a deadlock, a serialization failure."""


@dataclass(frozen=True)
class Condition:
    """An error of PostgreSQL's: the class that psycopg makes of it, and how the server says it in English."""

    name: str
    sqlstate: str
    said: str  # a regular expression


CONDITIONS = tuple(
    Condition(*row)
    for row in (  # names: psycopg 3.2, errors.py; sentences: PostgreSQL 18. the first that matches
        ("LockNotAvailable", "55P03", r"due to lock timeout|could not obtain lock on"),
        ("QueryCanceled", "57014", r"due to statement timeout|due to user request"),
        ("DeadlockDetected", "40P01", r"deadlock detected"),
        ("SerializationFailure", "40001", r"could not serialize access"),
        ("UniqueViolation", "23505", r"violates unique constraint|could not create unique index"),
        ("NotNullViolation", "23502", r"violates not-null constraint|contains null values"),
        ("ForeignKeyViolation", "23503", r"violates foreign key constraint"),
        ("CheckViolation", "23514", r"violates check constraint|is violated by some row"),
        ("ExclusionViolation", "23P01", r"violates exclusion constraint|could not create exclusion constraint"),
        ("DuplicateColumn", "42701", r"^column \S+ of relation \S+ already exists"),
        ("DuplicateSchema", "42P06", r"^schema \S+ already exists"),
        ("DuplicateTable", "42P07", r"^relation \S+ already exists"),
        ("DuplicateObject", "42710", r"^(?:constraint|type|trigger|extension|policy|role) .+ already exists"),
        ("UndefinedColumn", "42703", r"^column .+ does not exist"),
        ("UndefinedTable", "42P01", r"^(?:relation|table) \S+ does not exist"),
        ("UndefinedObject", "42704", r"^(?:constraint|index|type|trigger|role) .+ does not exist"),
        ("InvalidSchemaName", "3F000", r"^schema \S+ does not exist|no schema has been selected to create in"),
        ("InvalidCatalogName", "3D000", r"FATAL: +database \S+ does not exist"),
        ("InvalidPassword", "28P01", r"password authentication failed"),
        ("InsufficientPrivilege", "42501", r"^permission denied (?:for|to)|^must be owner of"),
        ("ObjectInUse", "55006", r"because it has pending trigger events|is being used by active queries"),
        ("DependentObjectsStillExist", "2BP01", r"because other objects depend on it"),
        ("DatatypeMismatch", "42804", r"cannot be cast automatically to type"),
        ("StringDataRightTruncation", "22001", r"value too long for type"),
        ("InvalidTextRepresentation", "22P02", r"invalid input syntax for type"),
        ("NumericValueOutOfRange", "22003", r"^(?:integer|bigint|smallint|numeric field) (?:out of range|overflow)"),
        ("SyntaxError", "42601", r"^syntax error at (?:or near|end of input)"),
        ("InFailedSqlTransaction", "25P02", r"current transaction is aborted"),
        ("ReadOnlySqlTransaction", "25006", r"in a read-only transaction"),
        ("TooManyConnections", "53300", r"too many clients already|remaining connection slots|too many connections"),
        ("DiskFull", "53100", r"could not extend file"),
        ("OutOfMemory", "53200", r"out of shared memory"),
        ("AdminShutdown", "57P01", r"terminating connection due to administrator command"),
        ("CannotConnectNow", "57P03", r"the database system is (?:starting up|shutting down|in recovery|not yet)"),
    )
)

_BY_NAME = {condition.name: condition for condition in CONDITIONS}
_SUFFIXES = (
    *("Error", "Exception", "DoesNotExist", "Configured", "Violation"),
    *("Exit", "Interrupt", "NotFound", "Failed", "Missing"),  # MigrationSchemaMissing
)
_OF_DJANGO = (  # django/db/utils.py, 5.2: what it makes of each driver's exceptions
    "DatabaseError",
    "DataError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
)
_DRIVER = re.compile(r"^psycopg2?\.errors\.(\w+): (.*)$", re.MULTILINE)
_RAISED = re.compile(r"([A-Za-z_]\w*)(?:: (.*))?$")
_DETAILS = re.compile(r"\s(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+): .*")
_VARIES = re.compile(
    r"""\w+://\S+"""
    r"""|"[^"]*"|`[^`]*`|“[^”]*”|„[^“]*“|«[^»]*»|»[^«]*«|(?<!\w)'[^']*'(?!\w)"""  # an apostrophe stands inside a word
    r"""|(?<![\w.])(?:/[\w.@%+~-]+)+/?"""  # a path
    r"""|\b[\w-]+(?:\.[\w-]+)+:\d+\b|\b[a-z0-9-]+(?:\.[a-z0-9-]+){2,}\b"""  # a host
    r"""|(?<![\w:])[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,}"""  # an IPv6 address, a time of day
    r"""|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"""
    r"""|[-+]?\w*\d[\w.-]*(?<![.-])"""  # a number, or a word with one in it
)
_GONE = "…"
_WORD = 4  # characters from which an id is taken out of a sentence: a shorter one may be one of its words
_LONGEST = 200  # characters of a sentence that are held against others


def is_exception(name: str) -> bool:
    """Whether a word that stands before a colon is an exception's name."""
    return name.endswith(_SUFFIXES) or name in _BY_NAME


def of(tenant: str, marks: tuple[str, ...], tail: str, why: str) -> model.Fingerprint:
    """The fingerprint of a failure. `why` is its sentence on one line, the exception in front where that is known."""
    match = _RAISED.match(why)
    raised, sentence = (match[1], match[2] or "") if match and is_exception(match[1]) else ("", why)
    found = _condition(raised, sentence, tail)
    return model.Fingerprint(
        exception=found.name if found else _driver(sentence, tail) or raised,
        sqlstate=found.sqlstate if found else "",
        migration=at_work(marks),
        text=general(sentence, tenant),
    )


def at_work(marks: tuple[str, ...]) -> str:
    """The migration that had begun and not ended, as far as `migrate` said; "" where it was at none."""
    last = next((mark for mark in reversed(marks) if _APPLYING.search(mark)), "")
    match = _APPLYING.search(last)
    return match[1] if match and not APPLIED.search(last) else ""


def general(sentence: str, tenant: str) -> str:
    """A sentence without what differs from one tenant to the next."""
    text = _VARIES.sub(_GONE, _DETAILS.sub("", sentence))
    if len(tenant) >= _WORD:
        text = re.sub(rf"(?<!\w){re.escape(tenant)}(?!\w)", _GONE, text)
    return " ".join(text.split())[:_LONGEST]


def _condition(raised: str, sentence: str, tail: str) -> Condition | None:
    """PostgreSQL's own error, by the class that the driver raised, else by its sentence: that may be translated."""
    by_class = _BY_NAME.get(_driver(sentence, tail)) or (_BY_NAME.get(raised) if raised != "SyntaxError" else None)
    if by_class or (raised and raised not in _OF_DJANGO):
        return by_class
    return next((each for each in CONDITIONS if re.search(each.said, sentence)), None)


def _driver(sentence: str, tail: str) -> str:
    """The driver's exception that became the last one: it says the same."""
    same = (name for name, said in reversed(_DRIVER.findall(tail)) if sentence.startswith(" ".join(said.split())))
    return next(same, "")
