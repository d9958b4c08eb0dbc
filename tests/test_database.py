"""What is left of a test that committed its rows: nothing, and a database that guards them as before."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection

from agents.models import AgentVersion
from agents.testing import make_agent
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope
from tests.database import empty


def test_rows_go_and_the_guards_stay(transactional_db: None, make_tenant: Callable[..., Tenant]) -> None:
    for _ in range(2):
        permissions = Permission.objects.count()
        with tenant_scope(make_tenant()):
            make_agent(tools={"end_call": {}})
            with pytest.raises(DatabaseError, match="never changed or deleted"):
                execute("DELETE FROM tenants_auditevent")
            with pytest.raises(DatabaseError, match="is published and cannot change"):
                execute("DELETE FROM agents_agentversion")
        empty()
        assert Permission.objects.count() == permissions > 0
        rows = (Tenant.objects, AuditEvent.all_objects, AgentVersion.all_objects)
        assert [found.count() for found in rows] == [0, 0, 0]


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
