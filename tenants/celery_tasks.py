"""Bases of every Celery task: one runs for a tenant named in the message's headers, the other for the platform."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from celery import Task

from tenants.errors import NoTenantScopeError
from tenants.scope import tenant_scope
from voiceplatform.lib.broker import TENANT_HEADER


class SystemTask(Task):
    """Runs without a scope: sweeps and resolvers that enter a tenant's scope per row."""

    abstract = True

    def scope(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self.scope():
            return self.run(*args, **kwargs)


class TenantTask(SystemTask):
    """Runs in the scope of the tenant that `broker.send(…, tenant_id=…)` put into the headers; refuses to run without."""

    abstract = True

    def scope(self) -> AbstractContextManager[None]:
        given = (self.request.headers or {}).get(TENANT_HEADER)
        try:
            return tenant_scope(UUID(str(given)))
        except ValueError as error:
            raise NoTenantScopeError(f"{self.name} needs the header {TENANT_HEADER}, not {given!r}") from error
