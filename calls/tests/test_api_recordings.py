"""Recordings over the API: found, and listened to through links."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone

from calls.models import Recording
from calls.services.recording_links import HOLDS
from tenants.models import ApiKey
from tenants.roles import SCOPES
from tenants.scope import current_scope

SOUND = bytes(range(256)) * 300


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"recordings": backend}


@pytest.fixture
def make_recording(placed, within):
    def make(sound=SOUND):
        fields = {"state": "lost", "detail": "/spool/x is missing."}
        if sound is not None:
            file, sha256 = storages["recordings"].save("sound.ogg", ContentFile(sound)), hashlib.sha256(sound).hexdigest()
            times = {"duration_ms": 5000, "stored_at": timezone.now()}
            fields = {"state": "stored", "file": file, "size": len(sound), "sha256": sha256, **times}
        return within(Recording.objects.create, call=placed(status="ended"), **fields)

    return make


@pytest.fixture
def recording(make_recording):
    return make_recording()


def link(api, recording):
    response = api.post(f"recordings/{recording.public_id}/url")
    assert response.status_code == 200, response.content
    return response.json()["url"].removeprefix("http://testserver")


def listen(url, method="get", **headers):
    return getattr(Client(), method)(url, headers=headers)


def body(response):
    return b"".join(response.streaming_content)


def refused(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_recordings_are_found_and_shown_with_their_call(api, recording, make_recording):
    lost = make_recording(None)
    shown = api.get(f"recordings/{recording.public_id}").json()
    assert (shown["state"], shown["duration_ms"], shown["size"], shown["call_id"]) == (
        "stored",
        5000,
        len(SOUND),
        recording.call.public_id,
    )
    assert [row["id"] for row in api.get("recordings").json()["data"]] == [lost.public_id, recording.public_id]
    assert api.get(f"recordings?call_id={shown['call_id']}").json()["data"] == [shown]
    brief = {name: shown[name] for name in ("id", "state", "duration_ms")}
    assert api.get(f"calls/{shown['call_id']}").json()["recording"] == brief
    assert "/spool" not in str(api.get(f"recordings/{lost.public_id}").content)


def test_a_link_opens_without_a_key_whatever_a_player_accepts(api, recording):
    url = link(api, recording)
    response = listen(url, accept="audio/webm,audio/*;q=0.9")
    assert (response.status_code, response["Content-Type"], response["Accept-Ranges"]) == (200, "audio/ogg", "bytes")
    assert "no-store" in response["Cache-Control"]
    assert body(response) == SOUND
    head = listen(url, "head")
    assert (head.status_code, head["Content-Length"], head.content) == (200, str(len(SOUND)), b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=1000-", 1000, len(SOUND) - 1), ("bytes=-10", len(SOUND) - 10, len(SOUND) - 1)],
)
def test_a_link_answers_in_ranges(api, recording, asked, first, last):
    response = listen(link(api, recording), range=asked)
    assert (response.status_code, response["Content-Range"]) == (206, f"bytes {first}-{last}/{len(SOUND)}")
    assert body(response) == SOUND[first : last + 1]


def test_a_range_outside_the_file_is_refused(api, recording):
    response = listen(link(api, recording), range=f"bytes={len(SOUND)}-")
    assert refused(response) == (416, "range_not_satisfiable")
    assert response["Content-Range"] == f"bytes */{len(SOUND)}"


def test_the_sound_is_read_without_any_scope(api, recording):
    response = listen(link(api, recording))
    with pytest.raises(Exception, match="no tenant is in scope"):
        current_scope()
    assert body(response) == SOUND


def test_a_link_holds_for_minutes(api, recording):
    made = api.post(f"recordings/{recording.public_id}/url").json()
    url = made["url"].removeprefix("http://testserver")
    assert timezone.now() < timezone.datetime.fromisoformat(made["expires_at"]) <= timezone.now() + timedelta(minutes=15)
    with time_machine.travel(timezone.now() + HOLDS + timedelta(seconds=2)):
        assert refused(listen(url)) == (403, "link_invalid")


def test_a_link_is_for_one_recording_and_cannot_be_forged(api, recording, make_recording):
    url, other = link(api, recording), make_recording()
    path, _, token = url.partition("?token=")
    for wrong in (path, f"{path}?token=", f"{path}?token=x{token}", f"{path}?token=%00é", url[:-1]):
        assert refused(listen(wrong)) == (403, "link_invalid")
    assert refused(listen(url.replace(recording.public_id, other.public_id))) == (403, "link_invalid")
    assert refused(listen(url.replace(recording.public_id, recording.call.public_id))) == (404, "not_found")


def test_a_link_ends_with_the_key_or_its_permission(make_api, tenant, recording, within):
    for change in ({"revoked_at": timezone.now()}, {"expires_at": timezone.now()}, {"scopes": ["calls:read"]}):
        url = link(make_api(tenant), recording)
        assert listen(url).status_code == 200
        within(lambda fields: ApiKey.objects.update(**fields), change)
        assert refused(listen(url)) == (403, "link_invalid")


def test_a_link_ends_with_the_recording(api, recording, within):
    url = link(api, recording)
    storages["recordings"].delete(recording.file)
    assert refused(listen(url)) == (404, "not_found")
    within(recording.delete)
    assert refused(listen(url)) == (404, "not_found")


def test_an_agencys_link_ends_when_the_customer_leaves(make_tenant, make_api, tenant, recording):
    agency = make_tenant()
    type(tenant).objects.filter(pk=tenant.pk).update(agency=agency)
    acting = {"Vp-Tenant": tenant.public_id}
    made = make_api(agency).post(f"recordings/{recording.public_id}/url", headers=acting)
    url = made.json()["url"].removeprefix("http://testserver")
    assert listen(url).status_code == 200
    type(tenant).objects.filter(pk=tenant.pk).update(agency=None)
    assert refused(listen(url)) == (403, "link_invalid")


def test_a_key_of_another_account_does_not_open_the_link(api, stranger, recording):
    url = link(api, recording)
    assert refused(stranger.get(url.removeprefix("/api/v1/"))) == (403, "link_invalid")
    assert api.get(url.removeprefix("/api/v1/")).status_code == 200


def test_there_is_no_link_to_what_is_not_stored(api, make_recording):
    response = api.post(f"recordings/{make_recording(None).public_id}/url")
    assert refused(response) == (409, "recording_not_stored")


def test_recordings_are_nobody_elses(stranger, make_api, tenant, recording):
    for method, path in [("get", ""), ("post", "/url")]:
        assert getattr(stranger, method)(f"recordings/{recording.public_id}{path}").status_code == 404
    assert stranger.get("recordings").json()["data"] == []
    deaf = make_api(tenant, scopes=sorted(set(SCOPES) - {"recordings:read"}))
    assert deaf.get("recordings").status_code == deaf.get(f"recordings/{recording.public_id}").status_code == 403
    assert deaf.post(f"recordings/{recording.public_id}/url").status_code == 403


def test_listing_costs_the_same_for_any_number(api, make_recording, django_assert_num_queries):
    for _ in range(3):
        make_recording()
        api.get("me")
        with django_assert_num_queries(2):  # recordings, the request log
            assert api.get("recordings").status_code == 200
