"""The processes that hold conversations: coming, being alive, going. Needs no scope; the clock is the database's."""

from collections.abc import Collection, Mapping
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import Greatest, Now

from calls.clock import database_now
from calls.errors import UnknownHostError
from calls.models import WorkerHost


class Condition(TypedDict, total=False):
    """How a host is, besides alive."""

    draining: bool
    memory_mb: int
    peak_job_mb: int


def register_host(*, name: str, transport: str, slots: int, versions: Mapping[str, str] | None = None) -> WorkerHost:
    """Announce a new process. It beats every five seconds from now on."""
    now, known = database_now(), dict(versions or {})
    return WorkerHost.objects.create(
        name=name, transport=WorkerHost.Transport(transport), slots=slots, versions=known, started_at=now, last_beat_at=now
    )


def return_host(*, host_id: UUID, name: str, transport: str, slots: int, versions: Mapping[str, str] | None = None) -> None:
    """Serve again under the same id, after having been taken for gone. Calls that were given up meanwhile stay so."""
    now, known = database_now(), dict(versions or {})
    fresh = {"name": name, "transport": WorkerHost.Transport(transport), "slots": slots, "versions": known}
    WorkerHost.objects.update_or_create(
        pk=host_id,
        defaults={"retired_at": None, "last_beat_at": now, "previous_beat_at": None, "job_ids": [], "previous_job_ids": []},
        create_defaults=fresh | {"started_at": now, "last_beat_at": now},
    )


def beat_host(
    *,
    host_id: UUID,
    job_ids: Collection[str] = (),
    spooled_call_ids: Collection[UUID] = (),
    condition: Condition | None = None,
) -> None:
    """Say that the host lives, which jobs run in it and for which calls it still has records to hand in.

    Raises UnknownHostError for a host that has retired; it registers anew before it takes calls again.
    """
    beaten = WorkerHost.objects.filter(pk=host_id, retired_at=None).update(
        previous_beat_at=F("last_beat_at"),
        previous_job_ids=F("job_ids"),
        last_beat_at=Now(),
        job_ids=sorted(job_ids),
        spooled_call_ids=sorted(str(call_id) for call_id in spooled_call_ids),
        **_columns(condition or {}),
    )
    if not beaten:
        raise UnknownHostError(f"there is no serving host {host_id}")


def _columns(condition: Condition) -> dict[str, Any]:
    """A host that drains does not take calls again, and a peak does not sink."""
    columns: dict[str, Any] = {"draining": True} if condition.get("draining") else {}
    if (memory_mb := condition.get("memory_mb")) is not None:
        columns["memory_mb"] = memory_mb
    if (peak := condition.get("peak_job_mb")) is not None:
        columns["peak_job_mb"] = Greatest("peak_job_mb", Value(peak))
    return columns


def retire_host(*, host_id: UUID) -> bool:
    """The host's last word: it holds no more jobs. A call it still has is taken for lost. False when it has retired before."""
    return bool(WorkerHost.objects.filter(pk=host_id, retired_at=None).update(retired_at=Now()))
