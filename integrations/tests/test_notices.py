"""When an endpoint fails for long, somebody who can mend it is told, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import endpoints, sending
from integrations.services.endpoints import NewSecret
from integrations.tests.conftest import Customer, drain
from tenants.models import AuditEvent, Membership, OutboxDelivery, OutboxEvent, Tenant
from tenants.scope import tenant_scope

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., NewSecret]
Happen = Callable[..., OutboxEvent]
Member = Callable[..., Membership]
rows, hooks = WebhookDelivery.all_objects, WebhookEndpoint.all_objects


@pytest.fixture
def hook(customer: Customer, make_endpoint: Make, happen: Happen, settings: Any) -> NewSecret:
    settings.VP_OPERATOR_EMAILS, settings.VP_WEB_URL = ["ops@example.com"], "https://voice.example.com/"
    customer.answers = [500]
    made = make_endpoint(url=customer.url, description="CRM")
    happen()
    drain()
    return made


def fail(made: NewSecret, *, for_days: float) -> None:
    """One more failed attempt, the first of which was so long ago."""
    rows.filter(status="pending").update(next_at=timezone.now())
    hooks.filter(status="enabled").update(failing_since=timezone.now() - timedelta(days=for_days), rests_until=None)
    with tenant_scope(made.row.tenant_id):
        sending.deliver(endpoint_id=made.row.pk)
    drain()


def audited(action: str) -> int:
    return AuditEvent.all_objects.filter(action=f"webhook_endpoint.{action}").count()


def test_a_disabling_is_told_once_to_those_who_may_change_webhooks(
    hook: NewSecret, tenant: Tenant, other_tenant: Tenant, make_member: Member
) -> None:
    for role, name in (("owner", "o"), ("admin", "a"), ("operator", "no"), ("viewer", "no2")):
        make_member(tenant, role=role, email=f"{name}@example.com")
    make_member(tenant, role="owner", email="gone@example.com", is_active=False)
    make_member(other_tenant, role="owner", email="stranger@example.com")
    fail(hook, for_days=3.1)
    fail(hook, for_days=3.1)
    (told,) = mail.outbox
    assert (told.to, told.subject) == (["a@example.com", "o@example.com"], "Webhooks to CRM have been switched off")
    since = f"{timezone.now() - timedelta(days=3.1):%Y-%m-%dT}"
    api = f"https://voice.example.com/api/v1/webhook_endpoints/{hook.row.public_id}"
    for part in (
        hook.row.url,
        "The receiver answered 500.",
        f"PATCH {api}\n",
        f'POST {api}/replay\n   {{"since": "{since}',
        "/admin/",
    ):
        assert part in told.body
    row = hooks.get()
    assert (row.status, row.disabled_at is not None, audited("disabled"), audited("notice_sent")) == ("disabled", True, 1, 1)


def test_news_told_twice_to_the_handler_keeps_the_messages_id(hook: NewSecret) -> None:
    fail(hook, for_days=3.1)
    OutboxDelivery.all_objects.filter(subscriber="integrations.notices").update(status="pending", settled_at=None)
    drain()
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 1


def test_a_warning_comes_once_after_a_day_and_again_after_a_success(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    fail(hook, for_days=0.9)
    assert mail.outbox == []
    for _ in range(2):
        fail(hook, for_days=1.1)
    (told,) = mail.outbox
    assert (told.to, told.subject) == (["ops@example.com"], "Webhooks to CRM are failing")
    assert hooks.get().status == "enabled"
    customer.answers = [200]
    fail(hook, for_days=1.1)
    assert hooks.get().warned_at is None
    customer.answers = [500]
    happen()
    drain()
    fail(hook, for_days=1.1)
    assert len(mail.outbox) == 2


def test_gone_is_told_at_once(hook: NewSecret, customer: Customer) -> None:
    customer.answers = [410]
    fail(hook, for_days=0)
    assert [message.to for message in mail.outbox] == [["ops@example.com"]]
    with tenant_scope(hook.row.tenant_id):
        endpoints.enable_endpoint(endpoint=hook.row)
    row = hooks.get()
    assert (row.status, row.disabled_at, row.warned_at) == ("enabled", None, None)
    rows.update(status="pending", settled_at=None)
    fail(hook, for_days=0)
    assert len(mail.outbox) == 2, "each disabling is told"


def test_who_disables_by_hand_is_told_nothing(hook: NewSecret) -> None:
    with tenant_scope(hook.row.tenant_id):
        endpoints.disable_endpoint(endpoint=hook.row)
    drain()
    assert (mail.outbox, hooks.get().disabled_at is not None) == ([], True)


def test_with_nobody_to_tell_the_audit_says_so(hook: NewSecret, settings: Any) -> None:
    settings.VP_OPERATOR_EMAILS = []
    fail(hook, for_days=3.1)
    assert (mail.outbox, audited("notice_unsent"), audited("notice_sent")) == ([], 1, 0)


def test_a_mail_server_that_refuses_is_asked_again(hook: NewSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", lambda *_: (_ for _ in ()).throw(OSError("no connection")))
        fail(hook, for_days=3.1)
    assert (mail.outbox, hooks.get().status, audited("notice_sent")) == ([], "disabled", 0)
    waiting = OutboxDelivery.all_objects.filter(subscriber="integrations.notices", status="pending")
    assert waiting.update(next_at=timezone.now()) == 1
    drain()
    assert (len(mail.outbox), audited("notice_sent")) == (1, 1)


def test_a_deleted_endpoint_needs_no_notice(hook: NewSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.filter(status="pending").update(next_at=timezone.now())
    hooks.update(failing_since=timezone.now() - timedelta(days=4))
    with tenant_scope(hook.row.tenant_id):
        sending.deliver(endpoint_id=hook.row.pk)
        endpoints.delete_endpoint(endpoint=hook.row)
    drain()
    assert mail.outbox == []
    assert not OutboxDelivery.all_objects.filter(status="pending").exists()


def test_a_line_break_in_a_description_is_no_header_of_the_mail(hook: NewSecret) -> None:
    hooks.update(description="CRM\nBcc: stranger@example.com")
    fail(hook, for_days=3.1)
    (told,) = mail.outbox
    assert told.subject == "Webhooks to CRM Bcc: stranger@example.com have been switched off"
