"""Listening: in ranges, through links that expire, only for those who may."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calls.admin import recordings
from calls.models import Recording
from calls.streaming import UnsatisfiableRangeError, parse_range
from tenants.scope import tenant_scope
from tests.admin.conftest import House

SOUND = bytes(range(256)) * 700
RIGHTS = ("view_call", "view_recording")


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "recordings": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }


@pytest.fixture
def recorded(make_house: Callable[..., House]) -> House:
    house = make_house()
    with tenant_scope(house.tenant):
        Recording.objects.create(
            call=house.call,
            state="stored",
            file=storages["recordings"].save("sound.ogg", ContentFile(SOUND)),
            size=len(SOUND),
            sha256=hashlib.sha256(SOUND).hexdigest(),
            duration_ms=5000,
            stored_at=timezone.now(),
        )
    return house


def link(client: Client, house: House) -> str:
    response = client.get(reverse("admin:calls_call_recording_link", args=[house.call.pk]))
    assert response.status_code == 200
    return str(response.content.decode())


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_the_whole_recording_is_streamed_and_never_cached(staff: Callable[..., Client], recorded: House) -> None:
    client = staff(recorded.tenant, *RIGHTS)
    response = client.get(link(client, recorded))
    assert (response.status_code, response["Content-Type"], response["Accept-Ranges"]) == (200, "audio/ogg", "bytes")
    assert "no-store" in response["Cache-Control"]
    assert body(response) == SOUND


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=1000-", 1000, len(SOUND) - 1), ("bytes=-10", len(SOUND) - 10, len(SOUND) - 1)],
)
def test_a_range_is_answered_in_part(staff: Callable[..., Client], recorded: House, asked: str, first: int, last: int) -> None:
    client = staff(recorded.tenant, *RIGHTS)
    response = client.get(link(client, recorded), headers={"range": asked})
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(SOUND)}"
    assert body(response) == SOUND[first : last + 1]


def test_a_range_outside_the_file_is_refused(staff: Callable[..., Client], recorded: House) -> None:
    client = staff(recorded.tenant, *RIGHTS)
    response = client.get(link(client, recorded), headers={"range": f"bytes={len(SOUND)}-"})
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(SOUND)}")
    assert client.head(link(client, recorded)).headers["Content-Length"] == str(len(SOUND))


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("", None),
        ("bytes=0-0", (0, 0)),
        ("bytes=5-2", None),
        ("bytes=0-5,7-9", None),
        ("items=0-5", None),
        ("bytes=-", None),
        ("bytes=0-99999", (0, 9)),
        ("bytes=-99", (0, 9)),
    ],
)
def test_only_one_plain_range_is_honoured(header: str, span: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == span


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=11-12", "bytes=-0"])
def test_ranges_that_cannot_be_served_say_so(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, 10)


def test_a_link_expires_and_cannot_be_forged_or_passed_on(
    staff: Callable[..., Client], recorded: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, colleague = staff(recorded.tenant, *RIGHTS), staff(recorded.tenant, *RIGHTS)
    url = link(mine, recorded)
    assert mine.get(url).status_code == 200
    assert colleague.get(url).status_code == 403
    assert mine.get(url.replace("token=", "token=x")).status_code == 403
    assert mine.get(url.split("?")[0]).status_code == 403
    monkeypatch.setattr(recordings, "LINK_HOLDS", timedelta(seconds=-1))
    assert mine.get(url).status_code == 403


def test_listening_needs_its_own_permission(staff: Callable[..., Client], recorded: House) -> None:
    client = staff(recorded.tenant, "view_call")
    assert client.get(reverse("admin:calls_call_recording_link", args=[recorded.call.pk])).status_code == 403
    page = client.get(reverse("admin:calls_call_change", args=[recorded.call.pk])).content.decode()
    assert "You may not listen to recordings." in page
    assert "<audio" not in page


def test_another_tenants_recording_is_not_there(staff: Callable[..., Client], recorded: House, house: House) -> None:
    owner, stranger = staff(recorded.tenant, *RIGHTS), staff(house.tenant, *RIGHTS)
    url = link(owner, recorded)
    assert stranger.get(url).status_code == 404
    assert stranger.get(reverse("admin:calls_call_recording_link", args=[recorded.call.pk])).status_code == 404


def test_a_lost_file_is_not_found(staff: Callable[..., Client], recorded: House) -> None:
    client = staff(recorded.tenant, *RIGHTS)
    url = link(client, recorded)
    with tenant_scope(recorded.tenant):
        storages["recordings"].delete(Recording.objects.get().file)
    assert client.get(url).status_code == 404
    with tenant_scope(recorded.tenant):
        Recording.objects.update(state="lost", file="", stored_at=None, detail="the disk was full")
    page = client.get(reverse("admin:calls_call_change", args=[recorded.call.pk])).content.decode()
    assert "the disk was full" in page
    assert "<audio" not in page


def test_a_copy_without_silences_is_asked_for_and_downloaded(staff: Callable[..., Client], recorded: House) -> None:
    client, page = staff(recorded.tenant, *RIGHTS), reverse("admin:calls_call_change", args=[recorded.call.pk])
    assert "Make a copy without silences" in client.get(page).content.decode()
    trim = reverse("admin:calls_call_trim", args=[recorded.call.pk])
    assert staff(recorded.tenant, "view_call").post(trim).status_code == 403
    assert client.post(trim).status_code == 302
    assert "is being made" in client.get(page).content.decode()
    with tenant_scope(recorded.tenant):
        storages["recordings"].save("sound-trimmed.ogg", ContentFile(b"short"))
        Recording.objects.update(copy="made", copy_size=5, copy_sha256="a" * 64, copy_duration_ms=100)
    assert body(client.get(f"{link(client, recorded)}&trimmed=1")) == b"short"
    assert body(client.get(link(client, recorded))) == SOUND
    assert "Download without silences" in client.get(page).content.decode()
