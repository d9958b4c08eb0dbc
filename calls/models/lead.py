"""People who may be called, and what they agreed to."""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from calls.models.phone import PhoneField, is_e164
from tenants.models import TenantForeignKey, TenantModel, tenant_key
from tenants.models.tenant import validate_timezone

validate_language = RegexValidator(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "Use a language tag such as en, de or pt-BR.")


class Lead(TenantModel):
    """A person the tenant may want to call: one per number."""

    public_prefix = "lead"

    phone = PhoneField(help_text="With country code, e.g. +12125550123.")
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    timezone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_timezone],
        help_text="Where the person is, e.g. America/Chicago. Empty: every zone the number may ring in counts.",
    )
    language = models.CharField(max_length=35, blank=True, validators=[validate_language], help_text="E.g. en, de or pt-BR.")
    metadata: Any = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("lead"),
            models.UniqueConstraint(fields=["tenant", "phone"], name="lead_once_per_phone"),
            is_e164(name="lead_phone_is_e164"),
        ]

    def __str__(self) -> str:
        return self.name or self.phone


class Consent(TenantModel):
    """Something a person agreed to, with the proof of it. Rows are kept; a withdrawn one no longer counts."""

    class Kind(models.TextChoices):
        CALLS = "calls", "being called"
        RECORDING = "recording", "being recorded"

    public_prefix = "cons"

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="consents", db_constraint=False)
    kind = models.CharField(max_length=9, choices=Kind)
    basis = models.TextField(
        max_length=1000, help_text="What was agreed to and how, e.g. Ticked “call me back” on the contact form."
    )
    source = models.CharField(max_length=120, blank=True, help_text="Where the proof is, e.g. an address or a document's name.")
    given_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("consent"),
            TenantForeignKey(field="lead", name="consent_lead_same_tenant"),
            models.CheckConstraint(name="consent_has_a_basis", condition=~Q(basis="")),
            models.CheckConstraint(
                name="consent_withdrawn_after_it_was_given", condition=Q(withdrawn_at=None) | Q(withdrawn_at__gte=F("given_at"))
            ),
        ]
        indexes = [models.Index(fields=["tenant", "lead", "kind"], name="consent_of_lead")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({'withdrawn' if self.withdrawn_at else 'given'})"
