"""Writing into chats, and reading what comes back."""

from uuid import UUID

from calls.models import Call, CallCommand
from calls.services.chats import turns_of, wait_for_answer, write_message
from tenants.models import Tenant
from tenants.scope import tenant_scope


def answered(tenant: Tenant, command: CallCommand, *, timeout_s: float = 20.0) -> list[tuple[str, str, str]]:
    """The turns of a message, once it is answered or its chat is over; each as speaker, source and text."""
    with tenant_scope(tenant):
        seen = wait_for_answer(command, timeout_s=timeout_s)
        return list(turns_of(seen).values_list("speaker", "source", "text"))


def write(tenant: Tenant, call_id: UUID, text: str) -> CallCommand:
    with tenant_scope(tenant):
        return write_message(Call.objects.get(pk=call_id), text)
