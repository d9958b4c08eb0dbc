"""What the console says of recordings that are not where they belong."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calls.models import Recording
from tenants.scope import tenant_scope
from tests.admin.conftest import House

SPOOLED = {"state": "spooled", "spool_path": "/spool/x.ogg", "sha256": "a" * 64, "size": 10}
CASES = [
    (
        SPOOLED | {"problem": "no_bucket", "detail": "404 no such bucket", "tries": 7},
        "The bucket does not exist.",
        "or create it",
    ),
    (SPOOLED | {"problem": "key_refused", "detail": "invalid_grant", "tries": 2}, "no longer takes our key", "Make a new key"),
    (SPOOLED | {"problem": "unreachable", "detail": "refused", "tries": 2}, "did not answer", "manage.py doctor"),
    (
        {"state": "making", "maker": "egress", "problem": "key_refused", "detail": "invalid_grant", "tries": 2},
        "and cannot be read yet",
        "Make a new key",
    ),
    ({"state": "lost", "detail": "The disk was full."}, "The recording was lost.", "set-aside"),
    (SPOOLED | {"cut_short": True, "detail": "The disk was full."}, "stopped before the call did", "Free the disk"),
]


def recorded(house: House, **fields: Any) -> Recording:
    with tenant_scope(house.tenant):
        made: Recording = Recording.objects.create(call=house.call, **fields)
        return made


@pytest.mark.parametrize(("fields", "reason", "step"), CASES)
def test_state_reason_and_next_step_are_on_both_pages(
    root: Client, house: House, fields: dict[str, Any], reason: str, step: str
) -> None:
    recording = recorded(house, **fields)
    for page in (reverse("admin:calls_call_change", args=[house.call.pk]), f"/admin/calls/recording/{recording.pk}/change/"):
        shown = root.get(page).content.decode()
        assert reason in shown
        assert step in shown
        assert fields["detail"] in shown


def test_the_list_is_cut_down_to_what_needs_somebody(root: Client, make_house: Callable[..., House]) -> None:
    fields = [
        *(fields for fields, *_ in CASES),
        SPOOLED,
        {**SPOOLED, "state": "stored", "file": "f", "stored_at": timezone.now()},
    ]
    rows = [recorded(make_house(), **given) for given in fields]
    shown = {show: listed(root, rows, show=show) for show in ("trouble", "waits", "way", "stored", "lost", "")}
    assert shown == {"trouble": 6, "waits": 4, "way": 2, "stored": 1, "lost": 1, "": len(rows)}


def listed(client: Client, rows: list[Recording], *, show: str) -> int:
    page = client.get(reverse("admin:calls_recording_changelist"), {"show": show} if show else {}).content.decode()
    return sum(f"/admin/calls/recording/{row.pk}/change/" in page for row in rows)
