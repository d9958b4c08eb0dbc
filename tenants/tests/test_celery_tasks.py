"""Tasks run in the scope the message names, and refuse to run without."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from tenants.errors import NoTenantScopeError
from tenants.models import Tenant, TenantFeature
from tenants.scope import tenant_scope
from tenants.tests import worker_app
from voiceplatform.lib import broker

Sent = Callable[[], list[dict[str, Any]]]
NAME = "tenants.tests.worker_app.note_as_tenant"


def test_a_tenant_task_refuses_to_run_without_its_tenant(tenant: Tenant) -> None:
    for headers in ({}, None, {broker.TENANT_HEADER: "nobody"}, {broker.TENANT_HEADER: None}):
        with pytest.raises(NoTenantScopeError, match=broker.TENANT_HEADER):
            worker_app.note_as_tenant.apply(args=["a"], headers=headers, throw=True)
    with pytest.raises(NoTenantScopeError):
        worker_app.note_as_tenant("a")
    assert TenantFeature.all_objects.count() == 0


def test_a_tenant_task_runs_in_its_tenants_scope(tenant: Tenant) -> None:
    done = worker_app.note_as_tenant.apply(args=["a"], headers={broker.TENANT_HEADER: str(tenant.pk)}, throw=True)
    assert done.result == str(tenant.pk)
    with tenant_scope(tenant):
        assert TenantFeature.objects.get().feature_key == "a"


def test_a_system_task_has_no_scope(db: None) -> None:
    with pytest.raises(NoTenantScopeError):
        worker_app.note_as_platform.apply(throw=True)


def test_a_message_carries_its_tenant(tenant: Tenant, sent_messages: Sent) -> None:
    assert broker.send(NAME, args=["a"], tenant_id=tenant.pk) is True
    assert broker.send("some.sweep") is True
    tenants, sweep = sent_messages()
    assert (tenants["task"], tenants["args"], tenants["headers"][broker.TENANT_HEADER]) == (NAME, ["a"], str(tenant.pk))
    assert broker.TENANT_HEADER not in sweep["headers"]


@pytest.fixture
def worker(database_env: dict[str, str], sent_messages: Sent) -> Iterator[None]:
    program = "import django; django.setup(); import sys; from tenants.tests.worker_app import app; app.worker_main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "worker", "--pool=solo", "--without-gossip", "--without-mingle"],
        env=database_env | {"REDIS_URL": django_settings.REDIS_URL},
    )
    yield
    process.terminate()
    process.wait(20)


def test_a_worker_runs_what_was_sent_on_commit_in_its_scope(
    tenant: Tenant, other_tenant: Tenant, worker: None, sent_messages: Sent
) -> None:
    with transaction.atomic():
        broker.send_on_commit(NAME, args=["lost"], tenant_id=tenant.pk)
        transaction.set_rollback(True)
    with transaction.atomic():
        for owner in (tenant, other_tenant):
            broker.send_on_commit(NAME, args=["kept"], tenant_id=owner.pk)
        broker.send_on_commit(NAME, args=["nobodys"])
        assert sent_messages() == []
    ends = time.monotonic() + 40
    while TenantFeature.all_objects.count() < 2 and time.monotonic() < ends:
        time.sleep(0.1)
    time.sleep(0.5)
    assert set(TenantFeature.all_objects.values_list("tenant_id", "feature_key")) == {
        (tenant.pk, "kept"),
        (other_tenant.pk, "kept"),
    }
