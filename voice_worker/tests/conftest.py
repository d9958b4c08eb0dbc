"""A spool and a file store of their own for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tenants.models import Tenant
from voice_worker.tests.failing import Proxy


@pytest.fixture
def spool(tmp_path: Path, settings: Any) -> Path:
    settings.VP_SPOOL, settings.VP_FILES = tmp_path / "spool", tmp_path / "files"
    recordings = {**settings.STORAGES["recordings"], "OPTIONS": {"location": tmp_path / "files" / "recordings"}}
    settings.STORAGES = {**settings.STORAGES, "recordings": recordings}
    return settings.VP_SPOOL


@pytest.fixture
def caller_tenant(transactional_db: None, make_tenant: Any, spool: Path) -> Tenant:
    """A tenant whose rows other threads and processes see."""
    return make_tenant()


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[Proxy]:
    """A second way to the test's database that can be cut."""
    parameters = connection.get_connection_params()
    host, port = parameters.get("host", "127.0.0.1"), int(parameters.get("port", 5432))
    through = Proxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port))
    yield through
    through.cut()
