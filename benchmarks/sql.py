"""Which SQL runs, on which thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from django.db.backends.utils import CursorWrapper


@dataclass(slots=True)
class Statements:
    """Statements by the thread that ran them."""

    seen: list[tuple[int, str, str]] = field(default_factory=list)

    def on_thread(self, ident: int) -> list[str]:
        return [sql for thread, _, sql in self.seen if thread == ident]

    @property
    def by_thread(self) -> dict[str, int]:
        names = [name for _, name, _ in self.seen]
        return {name: names.count(name) for name in dict.fromkeys(names)}


@contextmanager
def watched_sql() -> Iterator[Statements]:
    """Notes each statement of every Django connection in this process."""
    statements = Statements()
    execute = CursorWrapper._execute_with_wrappers  # noqa: SLF001

    def noted(self: CursorWrapper, sql: Any, *rest: Any, **named: Any) -> Any:
        statements.seen.append((threading.get_ident(), threading.current_thread().name, str(sql)))
        return execute(self, sql, *rest, **named)

    with patch.object(CursorWrapper, "_execute_with_wrappers", noted):
        yield statements
