"""What a PostgreSQL database or one of its schemas holds, in a form in which two of them can be held against each other."""

from __future__ import annotations

_COLUMNS = """
SELECT table_name, column_name, ordinal_position, data_type, udt_name, character_maximum_length, numeric_precision,
       numeric_scale, is_nullable, column_default, is_identity, identity_generation, collation_name,
       is_generated, generation_expression
FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""
_CONSTRAINTS = """
SELECT c.conrelid::regclass::text, c.conname, c.contype::text, c.condeferrable, c.condeferred, pg_get_constraintdef(c.oid)
FROM pg_constraint c WHERE c.connamespace = %s::regnamespace ORDER BY 1, 2
"""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2"
_SEQUENCES = """
SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, last_value
FROM pg_sequences WHERE schemaname = %s ORDER BY 1
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
_TIMES = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND data_type LIKE 'timestamp%%'"


def held(connection, schema="public"):
    """{what: rows}: columns, constraints, indexes, sequences, and each table's rows, moments left out."""
    connection.execute(f'SET search_path = "{schema}"')
    found = {
        "columns": _rows(connection, _COLUMNS, schema),
        "constraints": _rows(connection, _CONSTRAINTS, schema),
        "indexes": _rows(connection, _INDEXES, schema),
        "sequences": _rows(connection, _SEQUENCES, schema),
    }
    for (table,) in _rows(connection, _TABLES, schema):
        found[f"rows of {table}"] = _content(connection, schema, table)
    return {what: [_without_schema(row, schema) for row in rows] for what, rows in found.items()}


def _content(connection, schema, table):
    moments = [name for (name,) in _rows(connection, _TIMES, schema, table)]
    rows = _rows(connection, f'SELECT to_jsonb(t) FROM "{schema}"."{table}" t')
    return sorted((sorted((k, _shown(v)) for k, v in row.items() if k not in moments) for (row,) in rows), key=str)


def _shown(value):
    # a password that can't be used is random: Django 5.2, make_password
    return "!" if len(str(value)) == 41 and str(value).startswith("!") else str(value)


def _rows(connection, sql, *params):
    return connection.execute(sql, params or None).fetchall()


def _without_schema(row, schema):
    return tuple(value.replace(f"{schema}.", "") if isinstance(value, str) else value for value in row)
