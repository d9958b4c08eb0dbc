"""Fixtures every app's tests may use: tenants, users and members on a real PostgreSQL."""

import base64
import json
import os
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, TransactionTestCase

from tenants.models import DefaultRate, Membership, Tenant, User
from tenants.prices import write_missing
from tenants.roles import SCOPES
from tenants.scope import tenant_scope
from tenants.services.api_keys import NewKey, create_key, forget_keys
from tenants.services.tenants import add_member, create_tenant
from tenants.testing import WaitingProcesses
from tests.database import Template, empty
from tests.fakes.gcs_server import BUCKET, GcsServer, serve_gcs
from tests.fakes.vonage_server import VonageServer, serve_vonage
from voiceplatform.lib import broker
from voiceplatform.settings.storages import PURPOSES

_numbers = count(1)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are cores: many tests wait while speech goes by in real time."""
    return (yield) + 1


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, django_db_keepdb: bool) -> Template | None:
    """Where the test database is copied from; a run that keeps its database needs none."""
    if django_db_keepdb:
        return None
    template = Template()
    connection.settings_dict["TEST"]["TEMPLATE"] = template.claim()
    return template


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_modify_db_settings: Template | None, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """Async tests leave connections in asgiref's threads, and killed children theirs; the test database outlives none."""
    with django_db_blocker.unblock():
        if django_db_modify_db_settings:
            django_db_modify_db_settings.keep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty())
        yield
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with django_db_blocker.unblock():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")
        connection.close()


@pytest.fixture
def make_tenant(db: None) -> Callable[..., Tenant]:
    def make(**fields: Any) -> Tenant:
        number = next(_numbers)
        return create_tenant(**{"name": f"Tenant {number}", "slug": f"tenant-{number}"} | fields)

    return make


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(**fields: Any) -> User:
        return User.objects.create_user(**{"username": f"user-{next(_numbers)}"} | fields)

    return make


@pytest.fixture
def make_member(make_user: Callable[..., User]) -> Callable[..., Membership]:
    def make(tenant: Tenant, *, role: str = "viewer", **fields: Any) -> Membership:
        with tenant_scope(tenant):
            return add_member(user=make_user(**fields), role=role)

    return make


class ApiClient:
    """The API as a program sees it: JSON in and out, one key."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._client = Client(headers={"Authorization": f"Bearer {secret}"} if secret else {})

    def get(self, path: str, **options: Any) -> Any:
        return self._client.get(f"/api/v1/{path}", **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("post", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("patch", path, body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self._client.delete(f"/api/v1/{path}", **options)

    def upload(self, path: str, content: bytes, **options: Any) -> Any:
        return self._client.post(f"/api/v1/{path}", {"file": SimpleUploadedFile("list.csv", content)}, **options)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        if isinstance(body, bytes):
            return self.upload(path, body, **options)
        data = json.dumps({} if body is None else body)
        return getattr(self._client, method)(f"/api/v1/{path}", data, content_type="application/json", **options)


@pytest.fixture
def make_key(db: None) -> Callable[..., NewKey]:
    """A key of a tenant, with every scope unless told otherwise."""

    def make(tenant: Tenant, *, scopes: Iterable[str] = tuple(SCOPES), **fields: Any) -> NewKey:
        with tenant_scope(tenant):
            return create_key(**{"name": f"Key {next(_numbers)}", "scopes": scopes} | fields)

    return make


@pytest.fixture
def make_api(make_key: Callable[..., NewKey]) -> Iterator[Callable[..., ApiClient]]:
    forget_keys()
    yield lambda tenant, **fields: ApiClient(make_key(tenant, **fields).secret)
    forget_keys()


@pytest.fixture
def api(make_api: Callable[..., ApiClient], tenant: Tenant) -> ApiClient:
    """The API with a test key of `tenant` that may do everything."""
    return make_api(tenant)


@pytest.fixture
def stranger(make_api: Callable[..., ApiClient], other_tenant: Tenant) -> ApiClient:
    """The API with a key of another tenant that may do everything."""
    return make_api(other_tenant)


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant()


@pytest.fixture
def other_tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant()


@pytest.fixture
def scope(tenant: Tenant) -> Iterator[Tenant]:
    """The test runs in the scope of `tenant`."""
    with tenant_scope(tenant):
        yield tenant


@pytest.fixture
def database_env(transactional_db: None) -> dict[str, str]:
    """The environment in which another process sees this test's committed rows."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": django_settings.SETTINGS_MODULE}


@pytest.fixture
def waiting_processes(database_env: dict[str, str]) -> Iterator[WaitingProcesses]:
    processes = WaitingProcesses(database_env)
    yield processes
    processes.close()


@pytest.fixture
def sent_messages(settings: Any, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A broker of the test's own; gives what is waiting in it, oldest first: task, args and headers."""
    number = 1 + int(worker_id.removeprefix("gw")) % 14 if worker_id.startswith("gw") else 15
    settings.REDIS_URL = urlunsplit(urlsplit(settings.REDIS_URL)._replace(path=f"/{number}"))
    monkeypatch.setattr(broker, "_rests_until", 0.0)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield lambda: [_message(json.loads(raw)) for raw in reversed(client.lrange("celery", 0, -1))]
        client.flushdb()


def _message(raw: dict[str, Any]) -> dict[str, Any]:
    args, _kwargs, _embed = json.loads(base64.b64decode(raw["body"]))
    return {"task": raw["headers"]["task"], "args": args, "headers": raw["headers"]}


@pytest.fixture
def silent_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that accepts connections and never answers."""
    monkeypatch.setattr(broker, "_rests_until", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="session")
def vonage_server() -> Iterator[VonageServer]:
    with serve_vonage() as server:
        yield server


@pytest.fixture
def vonage(settings: Any, vonage_server: VonageServer) -> VonageServer:
    """The carrier Vonage as every account of the test reaches it; nobody has a number there yet."""
    vonage_server.reset()
    settings.VONAGE_BASE_URL, settings.LIVEKIT_SIP_HOST = vonage_server.url, "example.sip.livekit.cloud"
    return vonage_server


@pytest.fixture(scope="session")
def served_gcs() -> Iterator[GcsServer]:
    with serve_gcs() as server:
        yield server


@pytest.fixture
def gcs_server(served_gcs: GcsServer) -> GcsServer:
    """Google's storage with one empty bucket, in good order."""
    served_gcs.reset()
    return served_gcs


@pytest.fixture
def both_places(settings: Any, gcs_server: GcsServer, tmp_path: Path) -> GcsServer:
    """Files go to the test's own folder, and may go to the bucket."""
    given = {"bucket_name": BUCKET, "given_credentials": gcs_server.service_account()}
    reached = {"endpoint": gcs_server.url, "iam_url": gcs_server.url}
    for purpose in PURPOSES:
        options = {**given, **reached, "location": purpose}
        disk = {**settings.STORAGES[f"{purpose}-files"], "OPTIONS": {"location": tmp_path / "files" / purpose}}
        gcs = {"BACKEND": "voiceplatform.lib.gcs.PrivateGoogleStorage", "OPTIONS": options}
        settings.STORAGES = settings.STORAGES | {purpose: disk, f"{purpose}-files": disk, f"{purpose}-gcs": gcs}
    return gcs_server


@pytest.fixture
def default_rates(db: None) -> None:
    """The prices the platform comes with, also after a transactional test has emptied the tables."""
    write_missing(DefaultRate)
