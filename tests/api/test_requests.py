"""What the API does with requests nobody should send."""

import json
import re
from threading import Barrier, Event, Thread

import pytest
from django.db import connection, transaction
from django.test import Client

from tenants.api import idempotency
from tenants.models import ApiKey, IdempotencyRecord
from tenants.scope import tenant_scope

GOOD = {"name": "Good", "scopes": ["calls:read"]}


def post_raw(api, body, content_type="application/json"):
    client = Client(headers={"Authorization": f"Bearer {api.secret}"})
    return client.post("/api/v1/api_keys", body, content_type=content_type)


def count(tenant):
    with tenant_scope(tenant):
        return ApiKey.objects.count()


def deep(levels):
    return '{"name": ' + '{"a":' * levels + "1" + "}" * levels + "}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid"),
        (b"{", 400, "parse_error"),
        (b"[]", 400, "parse_error"),
        (b"null", 400, "parse_error"),
        (b'{"name": NaN}', 400, "parse_error"),
        (b'{"name": "\xff\xfe"}', 400, "parse_error"),
        (deep(50).encode(), 400, "parse_error"),
        (deep(100_000).encode(), 400, "parse_error"),
        (b'{"name": "a\\u0000b", "scopes": ["calls:read"]}', 400, "invalid"),
        (b'{"name": "\\ud800", "scopes": ["calls:read"]}', 400, "invalid"),
        (b'{"name": 5.5e400, "scopes": ["calls:read"]}', 400, "parse_error"),
        (b'{"a' + b"x" * 1_100_000 + b'": 1}', 413, "too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bodies_that_are_none(api, tenant, body, status, code):
    response = post_raw(api, body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.content[:300]
    assert response["Content-Type"] == "application/problem+json"
    assert count(tenant) == 1


def test_other_content_types_are_refused(api):
    response = post_raw(api, "name=x", "application/x-www-form-urlencoded")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"scopes": "calls:read"}, "scopes"),
        ({"scopes": ["calls:fly"]}, "scopes.0"),
        ({"scopes": []}, "scopes"),
        ({"livemode": "perhaps"}, "livemode"),
        ({"id": "key_x"}, "id"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"expires_at": "yesterday"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"allowed_cidrs": ["10.0.0.0/64"]}, "allowed_cidrs"),
    ],
)
def test_the_field_at_fault_is_named(api, tenant, change, param):
    response = api.post("api_keys", {**GOOD, **change})
    assert response.status_code == 400, response.content
    assert [error["param"] for error in response.json()["errors"]] == [param]
    assert count(tenant) == 1


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=101", "limit=x", "limit=1e9", f"limit={'9' * 5000}", "limit=٣"],
    ids=lambda query: query[:12],
)
def test_absurd_page_sizes_are_refused(api, query):
    response = api.get(f"api_keys?{query}")
    assert (response.status_code, response.json()["errors"][0]["param"]) == (400, "limit")


@pytest.mark.parametrize("cursor", ["x", "%00", "cD1hYmM=", "cD0yMDI2LTAxLTAx", "bz05OTk5OTk5OTk5OTk5OTk5OTk5OQ==", "é"])
def test_damaged_cursors_are_refused(api, cursor):
    response = api.get(f"api_keys?cursor={cursor}")
    assert (response.status_code, response.json()["errors"][0]["param"]) == (400, "cursor"), response.content


@pytest.mark.parametrize("query", ["colour=red", "tenant_id=1", "ordering=name", "metadata[a]=b"])
def test_unknown_filters_and_orders_are_named(api, query):
    response = api.get(f"api_keys?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["param"] == query.partition("=")[0]


def test_pages_stay_put_while_rows_are_added(api, make_key, tenant):
    for number in range(6):
        make_key(tenant, name=f"Old {number}")
    first = api.get("api_keys?limit=3").json()
    make_key(tenant, name="Newer")
    second = api.get(first["next"].partition("/api/v1/")[2]).json()
    names = [key["name"] for key in first["data"] + second["data"]]
    assert first["has_more"]
    assert names[:6] == [f"Old {number}" for number in range(5, -1, -1)]
    oldest = api.get("api_keys?ordering=created_at&limit=100").json()
    assert [key["id"] for key in oldest["data"]] == sorted(key["id"] for key in oldest["data"])
    assert (oldest["has_more"], oldest["next"]) == (False, None)


def test_methods_and_addresses_that_are_none(api):
    wrong = api.delete("api_keys")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert set(re.split(", ", wrong["Allow"])) >= {"GET", "POST"}
    for path in ("nothing", "", "api_keys/", "api_keys/a/b/c"):
        missing = api.get(path)
        assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json"), path


def test_head_and_options(api):
    client = Client(headers={"Authorization": f"Bearer {api.secret}"})
    head = client.head("/api/v1/api_keys")
    assert (head.status_code, head.content) == (200, b"")
    options = client.options("/api/v1/api_keys")
    assert (options.status_code, options.content) == (204, b"")
    assert "POST" in options["Allow"]


def test_times_are_utc_in_rfc_3339(api):
    made = api.post("api_keys", {**GOOD, "expires_at": "2099-01-01T00:00:00+02:00"}).json()
    assert made["expires_at"] == "2098-12-31T22:00:00Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", made["created_at"])


def test_a_post_with_a_key_is_repeated_not_done_again(api, tenant):
    key = api.post("api_keys", GOOD).json()["id"]
    options = {"headers": {"Idempotency-Key": "revoke-1"}}
    first = api.post(f"api_keys/{key}/revoke", {}, **options)
    again = api.post(f"api_keys/{key}/revoke", {}, **options)
    assert (first.content, again["Idempotent-Replayed"]) == (again.content, "true")
    assert "Idempotent-Replayed" not in first
    other = api.post("api_keys/key_x/revoke", {}, **options)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_belongs_to_one_body_and_one_tenant(api, stranger):
    first = api.post("agents", {"name": "Ava"}, headers={"Idempotency-Key": "one"})
    other = api.post("agents", {"name": "Nora"}, headers={"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    theirs = stranger.post("agents", {"name": "Ava"}, headers={"Idempotency-Key": "one"})
    assert (first.status_code, theirs.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in theirs
    assert theirs.json()["id"] != first.json()["id"]


@pytest.mark.django_db(transaction=True)
def test_a_key_in_use_is_taken_for_its_tenant_alone(make_tenant):
    ours, theirs, taken, done = make_tenant(), make_tenant(), Event(), Event()

    def use():
        with tenant_scope(ours), transaction.atomic():
            assert idempotency._try_lock("one")
            taken.set()
            done.wait(10)
        connection.close()

    thread = Thread(target=use)
    thread.start()
    assert taken.wait(10)
    got = {}
    for tenant in (ours, theirs):
        with tenant_scope(tenant), transaction.atomic():
            got[tenant] = idempotency._try_lock("one")
    done.set()
    thread.join()
    assert got == {ours: False, theirs: True}


def test_a_change_of_what_was_changed_meanwhile_is_refused(api):
    agent = api.post("agents", {"name": "Ava"})
    path, headers = f"agents/{agent.json()['id']}", {"If-Match": agent["ETag"]}
    assert api.patch(path, {"name": "Nora"}, headers=headers).status_code == 200
    late = api.patch(path, {"name": "Mia"}, headers=headers)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert api.get(path).json()["name"] == "Nora"


def test_a_refused_post_leaves_its_key_free(api, tenant):
    options = {"headers": {"Idempotency-Key": "free"}}
    assert api.post("api_keys/key_01h455vb4pex5vsknk084sn02q/revoke", {}, **options).status_code == 404
    with tenant_scope(tenant):
        assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_posts_at_once_with_one_key_have_one_effect(make_api, make_tenant):
    tenant = make_tenant()
    api, barrier, answers = make_api(tenant), Barrier(8), []
    key = api.post("api_keys", GOOD).json()["id"]

    def send():
        barrier.wait()
        answers.append(api.post(f"api_keys/{key}/revoke", {}, headers={"Idempotency-Key": "same"}))
        connection.close()

    threads = [Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(threads)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    with tenant_scope(tenant):
        assert IdempotencyRecord.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_malformed_idempotency_keys_are_refused(api, key):
    made = api.post("api_keys", GOOD).json()["id"]
    response = api.post(f"api_keys/{made}/revoke", {}, headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["errors"][0]["param"]) == (400, "Idempotency-Key")


def test_a_failure_of_ours_tells_nothing_but_the_id(api, monkeypatch):
    monkeypatch.setattr("tenants.api.views.enabled_features", lambda: 1 / 0)
    client = Client(headers={"Authorization": f"Bearer {api.secret}"}, raise_request_exception=False)
    response = client.get("/api/v1/features")
    assert (response.status_code, response.json()["code"]) == (500, "error")
    assert "division" not in json.dumps(response.json())
    assert response.json()["request_id"]
