"""Leads and numbers not to call from CSV files."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calls import handlers as _registered  # noqa: F401
from calls.models import Lead, Suppression
from calls.services import imports, people
from conftest import ApiClient
from tenants.models import AuditEvent, Job, JobError, JobInput, Tenant
from tenants.services import jobs
from voiceplatform.lib.ids import from_public_id

PHONE = "+12125550123"
Import = Callable[..., dict[str, Any]]


@pytest.fixture
def imported(api: ApiClient, within: Callable[..., Any]) -> Import:
    """Imports a file and works on the job; gives the job as the API shows it then."""

    def run(path: str, content: str | bytes) -> dict[str, Any]:
        answer = api.upload(path, content.encode() if isinstance(content, str) else content)
        assert answer.status_code == 202, answer.content
        within(jobs.run, job_id=from_public_id("job", answer.json()["id"]))
        shown: dict[str, Any] = api.get(answer["Location"].removeprefix("/api/v1/")).json()
        return shown

    return run


def errors(api: ApiClient, job: dict[str, Any]) -> list[tuple[int, str]]:
    return [(row["row"], row["field"]) for row in api.get(f"jobs/{job['id']}/errors").json()["data"]]


def test_leads_are_created_updated_and_left_alone(api: ApiClient, imported: Import, within: Callable[..., Any]) -> None:
    within(people.create_lead, lead=Lead(phone=PHONE, name="Ada", email="ada@example.com", metadata={"a": "1"}))
    within(people.create_lead, lead=Lead(phone="+12125550124", name="Bea"))
    job = imported(
        "leads/import",
        "Phone,name,email,metadata.b\n+1 (212) 555-0123,Ada Park,,2\n+12125550124,Bea,,\n"
        "+12125550125,Cy,,\n+12125550125,Cyrus,,\nnonsense,,,\n,Nobody,,\n+12125550126,,no mail,\n,,,\n+12125550127,a,b,c,d\n",
    )
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("succeeded", 9, 9, 4)
    assert job["result"] == {"created": 1, "updated": 2, "unchanged": 1, "empty": 1}
    assert errors(api, job) == [(6, "phone"), (7, "phone"), (8, "email"), (10, "")]
    ada = within(Lead.objects.get, phone=PHONE)
    assert (ada.name, ada.email, ada.metadata) == ("Ada Park", "ada@example.com", {"a": "1", "b": "2"})
    assert within(Lead.objects.get, phone="+12125550125").name == "Cyrus"
    assert within(Lead.objects.count) == 3
    noted = AuditEvent.all_objects.filter(api_key_id__isnull=False).order_by("id").values_list("action", flat=True)
    assert list(noted) == ["job.created", "lead.created", "lead.changed", "lead.changed"]


def test_numbers_are_suppressed_and_held_for_the_longer_time(imported: Import, within: Callable[..., Any]) -> None:
    within(people.suppress, phone=PHONE, source="agent")
    job = imported(
        "suppressions/import",
        f"phone;reason;source;expires_at\n{PHONE};x;;\n+12125550124;Wrote;complaint;2040-01-31\n"
        "+12125550124;;;2041-01-31\n+12125550125;;fax;\n+12125550126;;;2020-01-01\n+12125550127;;;soon\n",
    )
    assert (job["failed"], job["result"]) == (3, {"created": 1, "updated": 1, "unchanged": 1, "empty": 0})
    new = within(Suppression.objects.get, phone="+12125550124")
    assert (new.source, new.reason, new.expires_at.isoformat()) == ("complaint", "Wrote", "2041-01-31T23:59:59.999999+00:00")
    assert set(JobError.all_objects.values_list("field", flat=True)) == {"source", "expires_at"}
    assert within(Suppression.objects.get, phone=PHONE).source == "agent"


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfphone;name\r\n+12125550123;A\r\n", b"phone\tname\n+12125550123\tA", b'"phone"\n"+12125550123"\n']
)
def test_what_spreadsheets_write_is_read(imported: Import, content: bytes) -> None:
    assert imported("leads/import", content)["result"]["created"] == 1


BAD = {
    "empty": (b"", "empty"),
    "header_only": (b"phone,name\n", "no row"),
    "blank": (b"\n\n", "first line is empty"),
    "latin": ("phone,name\n+12125550123,J\xfcrgen".encode("latin-1"), "Line 2 is not UTF-8"),
    "utf16": ("phone\n+12125550123".encode("utf-16"), "UTF-16"),
    "nul": (b"phone\n+1212\x005550123", "Line 2 has the character U+0000"),
    "no_text": (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    "unknown": (b"phone,nmae,=cmd\n+12125550123,a,b", "There is no column nmae, =cmd"),
    "twice": (b"phone,name,Name\n+12125550123,a,b", "names name twice"),
    "without_phone": (b"name\nAda", "must name the column phone"),
    "huge_field": (b"phone,name\n+12125550123," + b"x" * 200_000, "Line 2 has more than"),
    "huge_quoted_field": (b'phone,name\n+12125550123,"' + b"x\n" * 100_000 + b'"', "cannot be read as CSV"),
    "open_quote": (b'phone,name\n+12125550123,"x', "cannot be read as CSV"),
    "million_columns": (b"phone" + b",a" * 1_000_000 + b"\n", "Line 1 has more than"),
    "many_columns": (b"phone" + b",a" * 200 + b"\n", "201 columns"),
    "metadata_key": (b"phone,metadata.\n+12125550123,x", "key of 1 to 40"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_cannot_be_imported(api: ApiClient, name: str) -> None:
    content, told = BAD[name]
    answer = api.upload("leads/import", content)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.content
    [error] = answer.json()["errors"]
    assert error["param"] == "file"
    assert told in error["detail"]
    assert (Job.all_objects.count(), JobInput.all_objects.count()) == (0, 0)


def test_forms_that_are_none(api: ApiClient, settings: Any) -> None:
    assert api.post("leads/import", {"file": "phone"}).status_code == 415
    client = api._client
    missing = client.post("/api/v1/leads/import", {"fiel": "phone"})
    assert {error["param"] for error in missing.json()["errors"]} == {"fiel"}
    broken = client.post("/api/v1/leads/import", b"x", content_type="multipart/form-data")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    many = client.post("/api/v1/leads/import", {f"f{number}": "x" for number in range(2000)})
    assert (many.status_code, many.json()["code"]) == (400, "parse_error")
    settings.VP_IMPORT_MAX_MB = 1
    large = api.upload("leads/import", b"phone\n" + b"+12125550123\n" * 100_000)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert Job.all_objects.count() == 0


def test_a_file_has_a_largest_number_of_rows(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_ROWS", 300)
    refused = api.upload("leads/import", b"phone\n" + b"1\n" * 301)
    assert (refused.status_code, Job.all_objects.count(), JobInput.all_objects.count()) == (400, 0, 0)
    assert "more than 300 rows" in refused.json()["errors"][0]["detail"]
    assert api.upload("leads/import", b"phone\n" + b"1\n" * 300).status_code == 202


def test_an_import_is_asked_for_once_by_key(api: ApiClient) -> None:
    headers = {"HTTP_IDEMPOTENCY_KEY": "k"}
    first, again = (api.upload("leads/import", b"phone\n+12125550123", **headers) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()["id"]) == (202, 202, first.json()["id"])
    other = api.upload("leads/import", b"phone\n+12125550124", **headers)
    assert (other.status_code, Job.all_objects.count()) == (422, 1)


def test_a_step_costs_a_constant_number_of_queries(api: ApiClient, within: Callable[..., Any]) -> None:
    def cost(path: str, rows: int) -> int:
        lines = "\n".join(f"+1212555{number:04},2040-01-01" for number in range(rows))
        column = "expires_at" if path.startswith("supp") else "metadata.x"
        job = api.upload(path, f"phone,{column}\n{lines}".encode()).json()
        with CaptureQueriesContext(connection) as captured:
            within(jobs.run, job_id=from_public_id("job", job["id"]))
        return len(captured)

    for path in ("leads/import", "suppressions/import"):
        assert cost(path, 2) == cost(path, 150), path


def test_a_cancelled_import_keeps_what_is_done(api: ApiClient, within: Callable[..., Any], sent_messages: Any) -> None:
    content = "\n".join(["phone", *(f"+1212555{number:04}" for number in range(500))])
    job = api.upload("leads/import", content.encode()).json()
    within(jobs.run, job_id=from_public_id("job", job["id"]), lasts_s=0)
    cancelled = api.post(f"jobs/{job['id']}/cancel").json()
    assert (cancelled["state"], cancelled["done"]) == ("canceled", 200)
    within(jobs.run, job_id=from_public_id("job", job["id"]))
    assert (within(Lead.objects.count), JobInput.all_objects.count()) == (200, 0)
    assert api.post(f"jobs/{job['id']}/cancel").status_code == 200


def test_jobs_are_listed_by_kind_and_state(api: ApiClient, imported: Import) -> None:
    done, waits = (
        imported("leads/import", "phone\n+12125550123"),
        api.upload("suppressions/import", b"phone\n+12125550123").json(),
    )
    for query, expected in {"": [waits, done], "kind=leads.import": [done], "state=queued": [waits]}.items():
        assert [row["id"] for row in api.get(f"jobs?{query}").json()["data"]] == [job["id"] for job in expected]
    assert api.get("jobs?kind=leads.fly").status_code == 400
    assert api.get("jobs?stat=queued").json()["errors"][0]["param"] == "stat"
    refused = api.post(f"jobs/{done['id']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_finished")


def test_other_tenants_see_and_stop_nothing(api: ApiClient, stranger: ApiClient, imported: Import) -> None:
    job = api.upload("leads/import", b"phone\nnonsense").json()
    for path in (f"jobs/{job['id']}", f"jobs/{job['id']}/errors"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"jobs/{job['id']}/cancel").status_code == 404
    assert stranger.get("jobs").json()["data"] == []
    assert Job.all_objects.get().state == "queued"


def test_errors_are_read_in_the_order_of_the_file(api: ApiClient, imported: Import, tenant: Tenant) -> None:
    job = imported("leads/import", "phone\n" + "nonsense\n" * 300)
    first = api.get(f"jobs/{job['id']}/errors?limit=100").json()
    assert [row["row"] for row in first["data"]] == list(range(2, 102))
    assert api.get(first["next"].partition("/api/v1/")[2]).json()["data"][0]["row"] == 102
