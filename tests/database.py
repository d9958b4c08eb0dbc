"""The test database: migrated once for the same code, and emptied where a test has left rows."""

import hashlib
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

_LOCK = 20_260_101
# The flush that Django comes with empties these too and fills them anew; no test changes them.
_KEPT = {"django_content_type", "auth_permission"}


class Template:
    """A migrated database of the server, named after the code that migrated it, from which those of the tests are copied."""

    def __init__(self) -> None:
        self._prefix = f"{connection.settings_dict['NAME']}_migrated_"
        self.name = f"{self._prefix}{_digest()}"
        self._db = psycopg.connect(**connection.get_connection_params() | {"dbname": "postgres"}, autocommit=True)

    def claim(self) -> str | None:
        """The name of the template, if there is one. Nobody drops it before `keep`, or makes another."""
        self._db.execute("SELECT pg_advisory_lock_shared(%s)", [_LOCK])
        if not self._exists():
            self._db.execute("SELECT pg_advisory_unlock_shared(%s)", [_LOCK])
            self._db.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        return self.name if self._exists() else None

    def keep(self) -> None:
        """Copy the test database, as it is migrated now, where there is no template yet; those of other code go."""
        with closing(self._db):
            if self._exists():
                return
            for name in self._names():
                self._db.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]
            source = sql.Identifier(connection.settings_dict["NAME"])
            self._db.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(self.name), source))

    def _exists(self) -> bool:
        return self.name in self._names()

    def _names(self) -> list[str]:
        found = self._db.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [self._prefix])
        return [name for (name,) in found]


def _digest() -> str:
    """Of what migrations run: the project's code, and the packages it is installed with."""
    root = Path(settings.BASE_DIR)
    found = hashlib.sha256((root / "requirements.txt").read_bytes())
    for path in sorted(path for app in root.glob("*/__init__.py") for path in app.parent.rglob("*.py")):
        if "tests" not in path.relative_to(root).parts:
            found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()[:16]


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
