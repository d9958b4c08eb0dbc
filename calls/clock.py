"""The database's clock: hosts and sweeps on different machines agree on it."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """Now, by the database's clock, also within a transaction that began earlier."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment
