"""Pages of lists that no model admin draws; nothing is counted."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpRequest

FURTHEST = 10_000


@dataclass(frozen=True, slots=True)
class ListPage:
    rows: list[Any]
    number: int
    has_next: bool
    query: str  # the other parameters of the address, for links to the pages around

    @property
    def previous_url(self) -> str:
        return f"?{self.query}&page={self.number - 1}" if self.number > 1 else ""

    @property
    def next_url(self) -> str:
        return f"?{self.query}&page={self.number + 1}" if self.has_next else ""


def list_page(request: HttpRequest, rows: QuerySet, *, size: int) -> ListPage:
    """The page that `?page=` asks for; one query. Raises Http404 for a page that cannot be."""
    wanted = request.GET.get("page", "1")
    number = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 else 0
    if not 1 <= number <= FURTHEST:
        raise Http404("There is no such page.")
    found = list(rows[(number - 1) * size : number * size + 1])
    others = [(name, value) for name, value in request.GET.items() if name != "page"]
    return ListPage(rows=found[:size], number=number, has_next=len(found) > size, query=urlencode(others))
