"""Who of the staff is in a call's room, as its job or the server tells it; both may tell the same."""

from datetime import datetime

from django.db.models import QuerySet, Value
from django.db.models.functions import Greatest

from calls.models import CallEvent, Supervision


def note_joined(rows: "QuerySet[Supervision]", *, participant_sid: str, at: datetime) -> bool:
    """They came in; False when somebody had come in with this admission before, be it they themselves."""
    if not rows.filter(participant_sid="").update(participant_sid=participant_sid, joined_at=at):
        return False
    _tell(rows, "supervisor_joined", at)
    return True


def note_left(rows: "QuerySet[Supervision]", *, participant_sid: str, at: datetime) -> bool:
    """They have gone; False when that is known, or it was somebody else."""
    mine = rows.filter(participant_sid=participant_sid, left_at=None)
    if not mine.update(left_at=Greatest(Value(at), "joined_at")):
        return False
    _tell(rows, "supervisor_left", at)
    return True


def _tell(rows: "QuerySet[Supervision]", kind: str, at: datetime) -> None:
    for admission in rows:
        data = {"supervision_id": admission.public_id, "mode": admission.mode}
        CallEvent.objects.create(call_id=admission.call_id, kind=kind, at=at, data=data)
