"""What customers are told: every topic has its words, and they are what the catalogue shows."""

import hashlib
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from agents import handlers as _agents  # noqa: F401
from calls import handlers as _calls  # noqa: F401
from calls.models import Call, Recording
from calls.services.journal import apply_entries
from calls.services.recordings import store_recording
from calls.testing import JOB, make_call
from calls.tests import journal as j
from integrations import handlers as _integrations  # noqa: F401
from integrations.events import EVENT_TYPES, SELECTABLE
from integrations.models import WebhookDelivery
from integrations.services.endpoints import create_endpoint
from tenants import handlers as _tenants  # noqa: F401
from tenants.models import Tenant
from tenants.outbox import PAYLOADS
from tenants.services import delivery
from tenants.services.features import set_feature
from tenants.topics import TOPICS, WEBHOOKS

pytestmark = pytest.mark.django_db(transaction=True)


def told() -> dict[str, dict[str, Any]]:
    """The newest payload of each type, once everything published has been noted."""
    Context().run(delivery.drain)
    return {row.event_type: row.payload for row in WebhookDelivery.objects.order_by("id")}


def test_each_topic_for_customers_has_its_words_and_each_type_its_topic() -> None:
    assert {topic for topic, names in TOPICS.items() if WEBHOOKS in names} == set(PAYLOADS)
    assert sorted(payload.type for payload in PAYLOADS.values()) == sorted(SELECTABLE)


@pytest.fixture
def finished(scope: Tenant) -> Call:
    """A call with a message and a recording, of which an endpoint has been told everything."""
    create_endpoint(url="https://hooks.example.com/")
    call = make_call(status="in_progress", metadata={"order": "A-1"}, persona="curious")
    entries = [j.message(), j.hand_over(), j.usage(10), j.ended(), j.finalize()]
    apply_entries(call_id=call.pk, job_id=JOB, entries=entries)
    set_feature(key="call-recording", enabled=False)
    return call


def test_payloads_have_the_fields_of_their_examples(finished: Call) -> None:
    payloads = told()
    assert set(payloads) == set(SELECTABLE) - {"recording.ready"}
    for kind, payload in payloads.items():
        example = EVENT_TYPES[kind].example_event()
        assert (set(payload), set(payload["data"])) == (set(example), set(example["data"])), kind
    assert payloads["call.queued"]["data"]["status"] == "queued"
    ended = payloads["call.ended"]
    assert (ended["data"]["id"], ended["data"]["metadata"], ended["livemode"]) == (finished.public_id, {"order": "A-1"}, False)
    assert ended["sequence"] > payloads["call.in_progress"]["sequence"] > payloads["call.queued"]["sequence"]
    assert payloads["message.taken"]["data"]["call_id"] == finished.public_id


def test_a_message_is_told_again_only_when_it_is_corrected(scope: Tenant) -> None:
    create_endpoint(url="https://hooks.example.com/", event_types=["message.taken"])
    call = make_call(status="in_progress")
    for reason in ("first", "first", "second"):
        apply_entries(call_id=call.pk, job_id=JOB, entries=[j.message(reason=reason)])
    told()
    rows = WebhookDelivery.objects.order_by("sequence")
    assert [row.sequence for row in rows] == [1, 2]
    assert len({row.object_id for row in rows}) == 1


def test_a_hand_over_is_told_once_however_often_it_arrives(scope: Tenant) -> None:
    create_endpoint(url="https://hooks.example.com/", event_types=["call.hand_over_ended"])
    call = make_call(status="in_progress")
    for summary in ("first", "first", "second"):
        entries = [j.event("transfer_holding"), j.hand_over(summary=summary), j.hand_over(summary=summary)]
        apply_entries(call_id=call.pk, job_id=JOB, entries=entries)
    payload = told()["call.hand_over_ended"]["data"]
    assert (payload["outcome"], payload["target"]["name"], payload["reason"]) == ("joined", "Front desk", "complaint")
    assert [each["outcome"] for each in payload["tried"]] == ["busy", "joined"]
    sent = WebhookDelivery.objects.order_by("sequence").values_list("payload__data__summary", flat=True)
    assert list(sent) == ["first", "second"]


def test_a_recording_is_told_when_it_is_stored(scope: Tenant, make_recorded: Callable[..., Recording]) -> None:
    create_endpoint(url="https://hooks.example.com/", event_types=["recording.ready"])
    recording = make_recorded()
    payload = told()["recording.ready"]
    assert payload["data"]["id"] == recording.public_id
    example = EVENT_TYPES["recording.ready"].example_event()
    assert set(payload["data"]) == set(example["data"])


@pytest.fixture
def make_recorded(settings: Any, tmp_path: Path) -> Callable[..., Recording]:
    def make() -> Recording:
        sound = tmp_path / "x.ogg"
        sound.write_bytes(b"sound")
        location = {"OPTIONS": {"location": tmp_path / "files"}}
        settings.STORAGES = settings.STORAGES | {"recordings": settings.STORAGES["recordings"] | location}
        call, sha256 = make_call(status="in_progress"), hashlib.sha256(b"sound").hexdigest()
        apply_entries(call_id=call.pk, job_id=JOB, entries=[j.spooled(str(sound), sha256=sha256, size=5)])
        return store_recording(call.pk, sound)

    return make
