"""The test database, emptied where a test has left rows."""

from functools import cache

from django.db import connection, transaction

# The flush that Django comes with empties these too and fills them anew; no test changes them.
_KEPT = {"django_content_type", "auth_permission"}


def empty() -> None:
    """Leaves no row, as Django's flush does, without touching the many tables that have none."""
    tables, guarded = _tables()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # As a TRUNCATE would, wait for whoever still writes.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables))  # noqa: S608
        filled = [table for (table,) in cursor.fetchall()]
        switched = [table for table in filled if table in guarded]
        statements = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in switched]
        statements += [f"DELETE FROM {table}" for table in filled]  # noqa: S608
        for statement in statements:
            cursor.execute(statement)
        if switched:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in switched:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@cache
def _tables() -> tuple[list[str], set[str]]:
    """All that models have, and those of them that refuse to lose a row."""
    names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - _KEPT
    with connection.cursor() as cursor:
        # 8 is PostgreSQL's bit for triggers on DELETE.
        cursor.execute(
            "SELECT DISTINCT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND tgtype & 8 > 0"
        )
        guarded = {name for (name,) in cursor.fetchall()}
    return sorted(names), guarded
