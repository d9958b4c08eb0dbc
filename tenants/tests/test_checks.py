"""The system check that keeps references inside a tenant."""

from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.db import models

from tenants.checks import check_tenant_references
from tenants.models import OutboxEvent, TenantForeignKey, TenantModel, tenant_key


@pytest.fixture
def make_model() -> Iterator[Callable[..., list[str]]]:
    def make(**field: object) -> list[str]:
        """The ids of the check's findings about a model with one foreign key."""
        keys = [TenantForeignKey(field=name, name="k") for name in field.pop("keys", ["event"])]  # type: ignore[attr-defined]
        meta = type("Meta", (TenantModel.Meta,), {"app_label": "tenants", "constraints": [tenant_key("n"), *keys]})
        event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="+", **field)  # type: ignore[arg-type]
        type("Note", (TenantModel,), {"__module__": __name__, "Meta": meta, "event": event})
        return [found.id for found in check_tenant_references()]

    yield make
    apps.all_models["tenants"].pop("note", None)
    apps.clear_cache()


def test_the_project_passes() -> None:
    assert check_tenant_references() == []


def test_a_good_reference_passes(make_model: Callable[..., list[str]]) -> None:
    assert make_model(db_constraint=False) == []


def test_a_plain_foreign_key_is_found(make_model: Callable[..., list[str]]) -> None:
    assert make_model(keys=[]) == ["tenants.E004"]


def test_a_second_plain_constraint_is_found(make_model: Callable[..., list[str]]) -> None:
    assert make_model(db_constraint=True) == ["tenants.E002"]


def test_a_key_on_something_else_is_found(make_model: Callable[..., list[str]]) -> None:
    assert make_model(db_constraint=False, keys=["event", "id"]) == ["tenants.E001"]


def test_a_target_without_its_unique_key_is_found(make_model: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxEvent._meta, "constraints", [])
    assert "tenants.E003" in make_model(db_constraint=False)
