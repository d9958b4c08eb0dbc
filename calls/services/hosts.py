"""The processes that hold conversations: coming, being alive, going. Needs no scope; the clock is the database's."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from calls.clock import database_now
from calls.errors import UnknownHostError
from calls.models import WorkerHost


def register_host(*, name: str, transport: str, slots: int) -> WorkerHost:
    """Announce a new process. It beats every five seconds from now on."""
    now = database_now()
    return WorkerHost.objects.create(
        name=name, transport=WorkerHost.Transport(transport), slots=slots, started_at=now, last_beat_at=now
    )


def return_host(*, host_id: UUID, name: str, transport: str, slots: int) -> None:
    """Serve again under the same id, after having been taken for gone. Calls that were given up meanwhile stay so."""
    now = database_now()
    fresh = {"name": name, "transport": WorkerHost.Transport(transport), "slots": slots, "started_at": now, "last_beat_at": now}
    WorkerHost.objects.update_or_create(
        pk=host_id,
        defaults={"retired_at": None, "last_beat_at": now, "previous_beat_at": None, "job_ids": [], "previous_job_ids": []},
        create_defaults=fresh,
    )


def beat_host(*, host_id: UUID, job_ids: Collection[str] = (), spooled_call_ids: Collection[UUID] = ()) -> None:
    """Say that the host lives, which jobs run in it and for which calls it still has records to hand in.

    Raises UnknownHostError for a host that has retired; it registers anew before it takes calls again.
    """
    beaten = WorkerHost.objects.filter(pk=host_id, retired_at=None).update(
        previous_beat_at=F("last_beat_at"),
        previous_job_ids=F("job_ids"),
        last_beat_at=Now(),
        job_ids=sorted(job_ids),
        spooled_call_ids=sorted(str(call_id) for call_id in spooled_call_ids),
    )
    if not beaten:
        raise UnknownHostError(f"there is no serving host {host_id}")


def retire_host(*, host_id: UUID) -> bool:
    """The host's last word: it holds no more jobs. A call it still has is taken for lost. False when it has retired before."""
    return bool(WorkerHost.objects.filter(pk=host_id, retired_at=None).update(retired_at=Now()))
