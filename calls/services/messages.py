"""Taking note of the messages callers left."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from calls.models import Message
from tenants.models import User
from tenants.services import audit


@transaction.atomic
def mark_read(*, messages: Iterable[Message], actor: User | None = None) -> int:
    """Note that somebody has read these messages of the tenant in scope; returns how many were unread until now."""
    unread = Message.objects.select_for_update(of=("self",)).filter(pk__in=[message.pk for message in messages], read_at=None)
    rows = list(unread.order_by("id"))
    now = timezone.now()
    for message in rows:
        message.read_at, message.read_by = now, actor
        audit.record(action="message.read", target=message, actor=actor, fields=["read_at"])
    Message.objects.bulk_update(rows, ["read_at", "read_by"])
    return len(rows)
