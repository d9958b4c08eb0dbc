"""The second end of a call: what it used is priced, and its record is complete."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from calls import settling, wakeups
from calls.clock import database_now
from calls.lifecycle import OBJECT_TYPE
from calls.models import Call, CallCommand, CallEvent, Leg, Supervision, ToolCall, Turn
from calls.policies import NO_CONTENT, policy_of
from calls.resolving import scope_of_call
from calls.services.minutes import record_minutes
from tenants import outbox
from tenants.services.features import enabled_features
from tenants.services.usage import RatedTotal, rate_usage

WITH_THE_CALL: Final = "call_ended"


def finalize_call(*, call_id: UUID, job_id: str | None = None) -> bool:
    """Finalise an ended call once; False when it has not ended or is finalised already. Enters the call's scope itself.

    A job passes its `job_id` and finalises only the call it holds.
    """
    with scope_of_call(call_id), transaction.atomic():
        held = {} if job_id is None else {"job_id": job_id}
        waiting = Call.objects.filter(pk=call_id, status=Call.Status.ENDED, finalized_at=None, **held)
        call = waiting.select_for_update(no_key=True).first()
        if call is None:
            return False
        now = database_now()
        record_minutes(call)
        total = _rate(call)
        Call.objects.filter(pk=call_id).update(finalized_at=now, **_priced(total))
        settling.fail_unfinished(call_id, at=now)
        Supervision.objects.filter(call=call, left_at=None).exclude(joined_at=None).update(left_at=now)
        # What came too late for the conversation is no part of its record.
        CallCommand.objects.filter(call=call, taken_at=None).update(text="", options={})
        # Nobody who knew better has told when these phones left: the job was killed, and the server's message is lost.
        open_legs = Leg.objects.filter(call=call, ended_at=None)
        open_legs.update(ended_at=Greatest(Value(call.ended_at), F("started_at")), end_reason=WITH_THE_CALL)
        forget_content(call)
        CallEvent.objects.create(call_id=call_id, kind="finalized", at=now, data=_told(total))
        wakeups.tell_news_on_commit(call_id)
        outbox.publish(topic="call.finalized", object_type=OBJECT_TYPE, object_id=call_id, data=_facts(call, total))
        return True


def forget_content(call: Call) -> None:
    """Of a call nothing of which is to be kept, what was kept to hold it: a chat is answered by what is written down."""
    if not keeps_nothing(call):
        return
    Turn.objects.filter(call=call).exclude(text="").update(text="", words=[], redacted=True)
    ToolCall.objects.filter(call=call).update(arguments={}, output="")
    CallEvent.objects.filter(call=call, kind="entry_refused").update(data={})


def keeps_nothing(call: Call) -> bool:
    return policy_of(call.snapshot.body["settings"], enabled_features()) == NO_CONTENT


def reprice_call(*, call_id: UUID, at: datetime) -> bool:
    """Price a finalised call anew, because usage or a leg's times arrived late; say whether that changed anything.

    Runs in the tenant's scope and the transaction that stored the usage, with the call locked.
    """
    call = Call.objects.exclude(finalized_at=None).get(pk=call_id)
    before = _priced(RatedTotal(cost=call.cost or Decimal(0), currency=call.currency, missing=call.cost_missing))
    record_minutes(call)
    total = _rate(call)
    if _priced(total) == before:
        return False
    Call.objects.filter(pk=call_id).update(**_priced(total))
    CallEvent.objects.create(call_id=call_id, kind="repriced", at=at, data=_told(total))
    data = _facts(call, total) | {"cost_before": str(before["cost"]), "currency_before": before["currency"]}
    outbox.publish(topic="call.repriced", object_type=OBJECT_TYPE, object_id=call_id, data=data)
    return True


def _rate(call: Call) -> RatedTotal:
    """At the prices of the day the call was placed, so that pricing it anew gives the same."""
    return rate_usage(subject_type=OBJECT_TYPE, subject_id=call.pk, at=call.created_at)


def _priced(total: RatedTotal) -> dict[str, Any]:
    return {"cost": total.cost, "currency": total.currency, "cost_missing": total.missing}


def _told(total: RatedTotal) -> dict[str, Any]:
    return {"cost": str(total.cost), "currency": total.currency, "missing": total.missing}


def _facts(call: Call, total: RatedTotal) -> dict[str, Any]:
    """What subscribers need, as it was at this moment: the row may have changed when they read."""
    return {
        "agent_id": str(call.agent_id),
        "kind": call.kind,
        "livemode": call.livemode,
        "disposition": call.disposition,
        "created_at": call.created_at.isoformat(),
        "seconds": call.duration_s or 0.0,
        "cost": str(total.cost),
        "currency": total.currency,
    }
