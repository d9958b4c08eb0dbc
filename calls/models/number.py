"""The tenant's telephone numbers, and who answers them."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from agents.models import Agent
from calls.models.mirrored import Mirrored
from calls.models.phone import PhoneField, is_e164
from calls.models.trunk import TrunkGrant
from tenants.models import EncryptedTextField, TenantForeignKey, TenantModel, tenant_key
from tenants.models.tenant import validate_timezone


class PhoneNumber(TenantModel, Mirrored):
    """A number that calls come in by and go out from.

    `hours` are spans of the week as `calls.services.hours` knows them; none means always open. A number that is released
    routes nowhere, and its row is history. `livekit_id` is the inbound trunk, `livekit_rule_id` the dispatch rule.
    """

    class Closed(models.TextChoices):
        AGENT = "agent", "the same agent answers"
        OTHER_AGENT = "other_agent", "another agent answers"
        FORWARD = "forward", "the call is put through to a number"
        SENTENCE = "sentence", "a sentence is spoken, then the call ends"

    public_prefix = "num"
    unversioned: ClassVar[frozenset[str]] = Mirrored.unversioned | {"livekit_rule_id", "callbacks_before"}

    phone = PhoneField(help_text="With country code, e.g. +12125550123.")
    label = models.CharField(max_length=120, blank=True, help_text="What it is for, e.g. Main line.")
    grant = models.ForeignKey(TrunkGrant, on_delete=models.PROTECT, related_name="numbers", db_constraint=False)
    agent = models.ForeignKey(
        Agent,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        help_text="Answers calls to this number. Empty: callers hear that nobody is available.",
    )
    is_caller_id = models.BooleanField(default=True, help_text="Outbound calls may show it.")
    timezone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_timezone],
        help_text="The clock the hours are read on; empty: the tenant's.",
    )
    hours: Any = models.JSONField(default=list, blank=True)
    closed_action = models.CharField(max_length=11, choices=Closed, default=Closed.AGENT)
    closed_agent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    closed_forward_to = PhoneField(blank=True, help_text="Where calls go outside the hours, e.g. +12125550199.")
    closed_sentence = models.CharField(
        max_length=300, blank=True, help_text="E.g. We are closed. Please call again tomorrow from nine."
    )
    hook_url = models.CharField(
        max_length=2048, blank=True, help_text="Asked while the phone rings who shall answer; empty: nobody is asked."
    )
    hook_secret: Any = EncryptedTextField(null=True, blank=True)
    metadata: Any = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)
    livekit_rule_id = models.CharField(max_length=80, blank=True, editable=False)
    callbacks_before: Any = models.JSONField(
        null=True, blank=True, editable=False, help_text="Where its calls went at the carrier before they were led here."
    )

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("phonenumber"),
            TenantForeignKey(field="grant", name="phonenumber_grant_same_tenant"),
            TenantForeignKey(field="agent", name="phonenumber_agent_same_tenant"),
            TenantForeignKey(field="closed_agent", name="phonenumber_closed_agent_same_tenant"),
            models.UniqueConstraint(fields=["phone"], condition=Q(released_at=None), name="phonenumber_routes_once"),
            is_e164(name="phonenumber_phone_is_e164"),
            models.CheckConstraint(
                name="phonenumber_closed_action_is_complete",
                condition=Q(closed_action="agent")
                | Q(closed_action="other_agent", closed_agent__isnull=False)
                | (Q(closed_action="forward") & ~Q(closed_forward_to=""))
                | (Q(closed_action="sentence") & ~Q(closed_sentence="")),
            ),
            models.CheckConstraint(name="phonenumber_hook_is_signed", condition=Q(hook_url="") | Q(hook_secret__isnull=False)),
        ]
        indexes = [models.Index(fields=["tenant", "grant"], name="phonenumber_of_grant")]

    def __str__(self) -> str:
        return self.phone
