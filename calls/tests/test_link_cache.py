"""Links into the bucket: signed once in a while, authorised each time."""

from datetime import timedelta
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from calls import link_cache
from calls.models import Call, Recording
from calls.places import storage_at
from calls.services.recording_links import HOLDS
from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope
from tenants.services.api_keys import forget_keys
from tests.fakes.gcs_server import EMAIL, GcsServer


@pytest.fixture
def recording(both_places: GcsServer, placed: Any, tenant: Tenant) -> Recording:
    link_cache.forget()
    call: Call = placed(status="ended")
    with tenant_scope(tenant):
        name = storage_at("gcs").save(f"{tenant.pk}/{call.pk}.ogg", ContentFile(b"sound"))
        facts = {"size": 5, "sha256": "a" * 64, "stored_at": timezone.now(), "place": "gcs"}
        made: Recording = Recording.objects.create(call=call, state="stored", file=name, **facts)
    return made


def test_a_link_is_kept_for_a_part_of_its_life() -> None:
    assert timedelta(seconds=link_cache.KEPT_S) < link_cache.HOLDS <= HOLDS == timedelta(minutes=15)
    link_cache.forget()
    made, times = iter("abcdef"), iter([0.0, 299.0, 301.0, 301.0])
    links = [link_cache.signed(("t", "f"), lambda: next(made), now=lambda: next(times)) for _ in range(3)]
    assert links == ["a", "a", "b"]
    assert link_cache.signed(("other tenant", "f"), lambda: next(made)) == "c"


def test_the_cache_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    link_cache.forget()
    monkeypatch.setattr(link_cache, "_MOST", 3)
    for number in range(5):
        link_cache.signed((str(number),), lambda: "x")
    assert len(link_cache._links) == 3


def test_google_signs_once_and_each_request_is_authorised(
    recording: Recording, api: Any, both_places: GcsServer, settings: Any
) -> None:
    gcs = settings.STORAGES["recordings-gcs"]
    settings.STORAGES = settings.STORAGES | {"recordings-gcs": {**gcs, "OPTIONS": {**gcs["OPTIONS"], "signer_email": EMAIL}}}
    url = api.post(f"recordings/{recording.public_id}/url").json()["url"].removeprefix("http://testserver")
    answers = [Client().get(url) for _ in range(3)]
    assert len({answer["Location"] for answer in answers}) == 1
    assert both_places.asked("signBlob") == 1
    assert "X-Goog-Expires=600" in answers[0]["Location"]
    assert requests.get(answers[0]["Location"], timeout=5).content == b"sound"
    ApiKey.all_objects.update(revoked_at=timezone.now())
    forget_keys()
    assert Client().get(url).status_code == 403


def test_a_link_ends_with_its_recording(recording: Recording, api: Any, tenant: Tenant) -> None:
    url = api.post(f"recordings/{recording.public_id}/url").json()["url"].removeprefix("http://testserver")
    assert Client().get(url).status_code == 302
    with tenant_scope(tenant):
        Recording.objects.update(state="lost", file="", stored_at=None, detail="gone")
    assert Client().get(url).status_code == 404
