"""Numbers that must not be called."""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q

from calls.models.phone import PhoneField, is_e164
from tenants.models import TenantManager, TenantModel, TenantQuerySet, User, tenant_key


def in_force(at: datetime) -> Q:
    """Suppressions that hold at that moment and were not lifted."""
    return Q(lifted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=at))


class SuppressionQuerySet(TenantQuerySet):
    def in_force(self, at: datetime) -> Self:
        return self.filter(in_force(at))


class SuppressionManager(TenantManager.from_queryset(SuppressionQuerySet)):  # type: ignore[misc]
    pass


class Suppression(TenantModel):
    """A number nobody calls for this tenant, and if it is an agency, for none of its customers.

    A lifted row is history. There is at most one per number that was not lifted; it may have expired.
    """

    class Source(models.TextChoices):
        CUSTOMER = "customer", "entered by hand or by a program"
        AGENT = "agent", "asked an agent not to call"
        IMPORT = "import", "came with a list"
        COMPLAINT = "complaint", "complained"

    public_prefix = "sup"

    phone = PhoneField(help_text="With country code, e.g. +12125550123.")
    reason = models.CharField(max_length=500, blank=True, help_text="E.g. asked by e-mail not to be called.")
    source = models.CharField(max_length=9, choices=Source, default=Source.CUSTOMER)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Calls may be placed again from then on; empty for never.")
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    lifted_by = models.ForeignKey(User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+")
    lifted_by_key = models.UUIDField(
        null=True, blank=True, editable=False, help_text="The API key it was lifted with; empty for people."
    )
    lift_reason = models.CharField(max_length=500, blank=True, editable=False)

    objects: ClassVar[SuppressionManager] = SuppressionManager()

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        permissions = [("lift_suppression", "Can let a suppressed number be called again")]
        constraints = [
            tenant_key("suppression"),
            models.UniqueConstraint(fields=["tenant", "phone"], condition=Q(lifted_at=None), name="suppression_once_per_phone"),
            is_e164(name="suppression_phone_is_e164"),
            models.CheckConstraint(
                name="suppression_expires_after_it_began", condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at"))
            ),
            models.CheckConstraint(
                name="suppression_lifted_with_a_reason",
                condition=Q(lifted_at=None, lifted_by=None, lifted_by_key=None, lift_reason="")
                | (Q(lifted_at__isnull=False) & ~Q(lift_reason="")),
            ),
        ]
        indexes = [models.Index(fields=["tenant", "phone"], name="suppression_of_phone")]

    def __str__(self) -> str:
        return self.phone

    def is_in_force(self, at: datetime) -> bool:
        return self.lifted_at is None and (self.expires_at is None or self.expires_at > at)
