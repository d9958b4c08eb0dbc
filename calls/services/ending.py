"""Ending calls."""

from datetime import datetime
from uuid import UUID

from calls import lifecycle
from calls.clock import database_now
from calls.resolving import scope_of_call


def end_call(
    *,
    call_id: UUID,
    disposition: str,
    ended_reason: str,
    job_id: str | None = None,
    detail: str = "",
    at: datetime | None = None,
) -> bool:
    """End a call; say whether it was this that ended it. Enters the call's scope itself.

    A job passes its `job_id` and ends only the call it holds; "" ends a call only while no job has claimed it.
    """
    with scope_of_call(call_id):
        return lifecycle.end(
            call_id=call_id,
            disposition=disposition,
            ended_reason=ended_reason,
            at=at or database_now(),
            detail=detail,
            job_id=job_id,
        )
