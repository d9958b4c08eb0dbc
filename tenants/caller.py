"""Which API key the running request came with; one ContextVar, so that every audit event names it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

_key: ContextVar[UUID | None] = ContextVar("api_key_id", default=None)


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that uses the API.

    `home_id` is the tenant of the key, `tenant_id` the one it acts for: itself, or a customer of the agency.
    """

    key_id: UUID
    key_name: str
    prefix: str
    home_id: UUID
    tenant_id: UUID
    scopes: frozenset[str]
    livemode: bool
    expires_at: datetime | None
    per_minute: int
    tenant_per_minute: int

    @property
    def is_authenticated(self) -> bool:
        """For REST framework, which asks its user."""
        return True

    def may(self, scope: str) -> bool:
        return scope in self.scopes


@contextmanager
def calling_with(key_id: UUID) -> Iterator[None]:
    token = _key.set(key_id)
    try:
        yield
    finally:
        _key.reset(token)


def current_api_key_id() -> UUID | None:
    return _key.get()
