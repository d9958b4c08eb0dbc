"""A job's first act: making a call its own before it connects to anything."""

from uuid import UUID

from calls import lifecycle
from calls.clock import database_now
from calls.resolving import scope_of_call


def claim_call(*, call_id: UUID, job_id: str, host_id: UUID) -> bool:
    """Claim a call for a job; one job gets it. Needs no scope. Raises Call.DoesNotExist.

    On False the job leaves at once, without connecting, deleting or hanging up anything.
    """
    if not job_id:
        raise ValueError("a job without an id cannot claim a call")
    with scope_of_call(call_id):
        return lifecycle.claim(call_id=call_id, job_id=job_id, host_id=host_id, at=database_now())
