"""Pages cost the same number of queries for one row as for twenty, and never count a table."""

from collections.abc import Callable
from datetime import time
from io import BytesIO

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import TransferTarget
from agents.testing import make_agent
from calls.models import CallEvent, CallingWindow, Lead, Leg, Message, ToolCall
from calls.services.imports import begin_import
from calls.services.people import create_lead, create_window, suppress
from calls.services.targets import create_target
from calls.services.trunks import grant_trunk
from calls.testing import make_account, make_call, make_number, make_trunk
from tenants.jobs import LEADS
from tenants.models import AuditEvent, Membership, Tenant, TenantLimits, UsageRecord
from tenants.scope import tenant_scope
from tests.admin.conftest import House, add_turns
from tests.admin.test_pages import LISTS

Fill = Callable[[Tenant, int], None]


@pytest.fixture
def fill(make_member: Callable[..., Membership]) -> Fill:
    """Adds `count` rows of everything to a tenant."""

    def add(tenant: Tenant, count: int) -> None:
        with tenant_scope(tenant):
            TenantLimits.objects.update(max_open_calls=1000)
            for number in range(count):
                call = make_call(agent=make_agent(), status="ended", finalized=True)
                Message.objects.create(call=call, key="m", caller_name=str(number), taken_at=call.created_at)
                UsageRecord.objects.create(
                    subject_type="call",
                    subject_id=call.pk,
                    kind="llm",
                    provider="test",
                    model="rules",
                    unit="input_token",
                    quantity=1,
                )
                make_member(tenant)
                phone = f"+1212555{Lead.objects.count():04}"
                create_lead(lead=Lead(phone=phone))
                suppress(phone=phone, source="import")
                begin_import(kind=LEADS, file=BytesIO(f"phone\n{phone}".encode()))
                make_number(agent=call.agent)
                make_account()
                TenantLimits.objects.update(allowed_countries=["US"])
                create_target(name=f"Target {TransferTarget.objects.count()}", phone=f"+1212555012{number % 10}")
                create_window(window=CallingWindow(starts_at=time(9), ends_at=time(18)))

    return add


def queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_for_any_number_of_rows(
    root: Client, root_of: Callable[[Tenant], Client], tenant: Tenant, fill: Fill, name: str
) -> None:
    url, one = reverse(f"admin:{name}_changelist"), root_of(tenant)
    fill(tenant, 1)
    before, before_all = queries(one, url), queries(root, url)
    fill(tenant, 19)
    after, after_all = queries(one, url), queries(root, url)
    assert (len(after), len(after_all)) == (len(before), len(before_all))
    assert not [sql for sql in after + after_all if "COUNT(" in sql]


def test_the_page_of_a_call_costs_the_same_for_any_length(root: Client, house: House) -> None:
    url = reverse("admin:calls_call_change", args=[house.call.pk])
    before = queries(root, url)
    with tenant_scope(house.tenant):
        house.call.turns.all().delete()
        add_turns(house.call, count=400)
        for number in range(20):
            at = house.call.created_at
            ToolCall.objects.create(call=house.call, sequence=100 + number, key="end_call", status="ok", started_ms=number)
            CallEvent.objects.create(call=house.call, kind="note", at=at, key=str(number))
            Message.objects.create(call=house.call, key=str(number), taken_at=at)
            Leg.objects.create(call=house.call, role="target", identity=f"sip_{number}", started_at=at)
    assert len(queries(root, url)) == len(before)


@pytest.mark.parametrize("tab", ["features", "members", "agents", "usage"])
def test_a_tenants_page_costs_the_same_for_any_size(
    root_of: Callable[[Tenant], Client], house: House, fill: Fill, tab: str
) -> None:
    client, url = root_of(house.tenant), reverse(f"admin:tenants_tenant_{tab}", args=[house.tenant.pk])
    fill(house.tenant, 1)
    before = queries(client, url)
    fill(house.tenant, 12)
    with tenant_scope(house.tenant):
        assert AuditEvent.objects.exists()
    assert len(queries(client, url)) == len(before)


def test_the_dashboard_costs_the_same_for_any_number_of_calls(root: Client, tenant: Tenant, fill: Fill) -> None:
    url = reverse("admin:index")
    fill(tenant, 1)
    before = queries(root, f"{url}?tests=1")
    fill(tenant, 12)
    assert len(queries(root, f"{url}?tests=1")) == len(before)


def test_the_page_of_a_trunk_costs_the_same_for_any_number_of_customers(
    root: Client, make_tenant: Callable[..., Tenant], tenant: Tenant
) -> None:
    with tenant_scope(tenant):
        trunk = make_trunk(channels=100)
    url = reverse("admin:calls_siptrunk_change", args=[trunk.pk])

    def grant_one() -> None:
        with tenant_scope(make_tenant(agency=tenant)):
            grant_trunk(trunk=trunk, channels=2)

    grant_one()
    root.get(url)
    before = queries(root, url)
    for _ in range(9):
        grant_one()
    assert len(queries(root, url)) == len(before)
