"""Staff import lists, watch jobs, and call them off."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from calls import handlers as _registered  # noqa: F401
from calls.models import Lead, Suppression
from calls.services.imports import begin_import
from integrations.services.endpoints import create_endpoint
from tenants.jobs import LEADS
from tenants.models import AuditEvent, Job, JobError, Tenant
from tenants.scope import tenant_scope
from tenants.services import jobs


def url(name: str, *args: object) -> str:
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def make_job(tenant: Tenant) -> Callable[..., Job]:
    """An import of one good row and some bad ones, worked on unless told otherwise."""

    def make(*, bad: int = 1, run: bool = True) -> Job:
        with tenant_scope(tenant):
            rows = ["phone", "+12125550123", *(f"nonsense {number}" for number in range(bad))]
            job = begin_import(kind=LEADS, file=BytesIO("\n".join(rows).encode()))
            if run:
                jobs.run(job_id=job.pk)
            job.refresh_from_db()
        return job

    return make


def upload(client: Client, list_name: str, content: bytes) -> Any:
    return client.post(url(f"calls_{list_name}_import_list"), {"file": SimpleUploadedFile("list.csv", content)})


@pytest.mark.parametrize(("name", "model"), [("lead", Lead), ("suppression", Suppression)])
def test_a_list_is_imported_and_followed(
    staff: Callable[..., Client], tenant: Tenant, other_tenant: Tenant, name: str, model: Any
) -> None:
    client = staff(tenant, f"view_{name}", f"add_{name}")
    assert "Import a list" in client.get(url(f"calls_{name}_changelist")).content.decode()
    assert f"A file for {tenant.name}<" in client.get(url(f"calls_{name}_import_list")).content.decode()
    example = client.get(url(f"calls_{name}_example"))
    answer = upload(client, name, example.content)
    job = Job.all_objects.get()
    assert (answer.status_code, answer["Location"]) == (302, url("tenants_job_change", job.pk))
    assert "every 2s" in client.get(answer["Location"]).content.decode(), "whoever asked for it may follow it"
    with tenant_scope(tenant):
        jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.failed, model.all_objects.count()) == ("succeeded", 0, 2)
    assert "every 2s" not in client.get(answer["Location"]).content.decode()
    assert AuditEvent.all_objects.filter(target_type=f"calls.{name}", actor_id=job.created_by_id).count() == 2


@pytest.mark.parametrize(("content", "told"), [(b"", "first line is empty"), (b"name\nA", "must name the column phone")])
def test_a_file_that_cannot_be_read_is_a_form_error(root_of: Any, tenant: Tenant, content: bytes, told: str) -> None:
    assert told in upload(root_of(tenant), "lead", content).content.decode()
    assert Job.all_objects.count() == 0


def test_importing_needs_permission_and_a_tenant(staff: Callable[..., Client], root: Client, tenant: Tenant) -> None:
    reader = staff(tenant, "view_lead")
    assert upload(reader, "lead", b"phone\n+12125550123").status_code == 403
    assert reader.get(url("calls_lead_example")).status_code == 403
    assert upload(root, "lead", b"phone\n+12125550123")["Location"] == url("calls_lead_changelist")
    assert Job.all_objects.count() == 0


def test_a_jobs_page_tells_what_was_refused(root: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    page = root.get(url("tenants_job_change", job.pk)).content.decode()
    assert "Refused rows" in page
    assert "lacks its country code" in page
    assert root.get(url("tenants_job_progress", job.pk))["HX-Refresh"] == "true"
    JobError.all_objects.update(message="=HYPERLINK(1)", field="@x")
    lines = root.get(url("tenants_job_errors", job.pk)).content.decode("utf-8-sig").splitlines()
    assert lines == ["row,column,message", "3,'@x,'=HYPERLINK(1)"]
    JobError.all_objects.all().delete()
    assert "forgotten in the meantime" in root.get(url("tenants_job_change", job.pk)).content.decode()


def test_a_jobs_page_costs_the_same_for_any_number_of_errors(root: Client, make_job: Callable[..., Job]) -> None:
    costs = []
    for bad in (1, 60):
        page = url("tenants_job_change", make_job(bad=bad).pk)
        with CaptureQueriesContext(connection) as captured:
            assert root.get(page).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_a_job_is_cancelled_with_a_reason_by_those_who_may(
    staff: Callable[..., Client], tenant: Tenant, make_job: Callable[..., Job]
) -> None:
    job = make_job(run=False)
    cancel, form = url("tenants_job_cancel", job.pk), 'action="../cancel/"'
    reader, stopper = (staff(tenant, "view_job", *more) for more in ((), ("change_job",)))
    assert form not in reader.get(url("tenants_job_change", job.pk)).content.decode()
    assert form in stopper.get(url("tenants_job_change", job.pk)).content.decode()
    assert reader.post(cancel, {"reason": "x"}).status_code == 403
    stopper.post(cancel, {"reason": ""})
    job.refresh_from_db()
    assert job.state == "queued"
    stopper.post(cancel, {"reason": "Wrong list"})
    job.refresh_from_db()
    assert job.state == "canceled"
    assert AuditEvent.all_objects.get(action="job.canceled").reason == "Wrong list"


def test_another_tenants_jobs_are_not_there(
    staff: Callable[..., Client], other_tenant: Tenant, make_job: Callable[..., Job]
) -> None:
    job = make_job(run=False)
    client = staff(other_tenant, "view_job", "change_job")
    for name in ("change", "progress", "errors"):
        assert client.get(url(f"tenants_job_{name}", job.pk)).status_code == 404
    assert client.post(url("tenants_job_cancel", job.pk), {"reason": "x"}).status_code == 404
    assert str(job.pk) not in client.get(url("tenants_job_changelist")).content.decode()
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_job_of_somebody_else_needs_permission(staff: Callable[..., Client], tenant: Tenant, make_job: Any) -> None:
    job = make_job()
    for name in ("change", "progress", "errors"):
        assert staff(tenant, "view_lead").get(url(f"tenants_job_{name}", job.pk)).status_code == 403


def test_webhooks_are_replayed_by_a_job(staff: Callable[..., Client], tenant: Tenant) -> None:
    with tenant_scope(tenant):
        endpoint = create_endpoint(url="https://hooks.example.com/").row
    client = staff(tenant, "view_webhookendpoint", "change_webhookendpoint")
    replay = url("integrations_webhookendpoint_replay", endpoint.pk)
    assert "the last 7 days" in client.get(url("integrations_webhookendpoint_change", endpoint.pk)).content.decode()
    assert client.post(replay, {"hours": "9", "reason": "x"}).status_code == 400
    client.post(replay, {"hours": "719", "reason": ""})
    assert Job.all_objects.count() == 0
    answer = client.post(replay, {"hours": "719", "reason": "The CRM was down"})
    job = Job.all_objects.get()
    assert (job.kind, answer["Location"]) == ("webhooks.replay", url("tenants_job_change", job.pk))
