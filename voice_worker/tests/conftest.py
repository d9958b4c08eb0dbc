"""A spool and a file store of their own for each test."""

from pathlib import Path
from typing import Any

import pytest

from tenants.models import Tenant


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
