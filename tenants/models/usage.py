"""What was used, and what it cost."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from tenants.models.base import TenantModel, UUIDModel, tenant_key
from tenants.models.tenant import validate_currency


class Kind(models.TextChoices):
    STT = "stt", "speech to text"
    LLM = "llm", "language model"
    TTS = "tts", "text to speech"
    TELEPHONY = "telephony", "telephone carrier"
    TRANSPORT = "transport", "telephone server"


class Unit(models.TextChoices):
    """What is counted. Input tokens read from a cache count as cached input tokens only."""

    SECOND = "second", "seconds"
    INPUT_TOKEN = "input_token", "input tokens"
    CACHED_INPUT_TOKEN = "cached_input_token", "cached input tokens"
    OUTPUT_TOKEN = "output_token", "output tokens"
    CHARACTER = "character", "characters"


class UsageRecord(TenantModel):
    """A measured quantity of one subject, one row per source; `rate_*` are the values it was priced with."""

    public_prefix = "usg"

    subject_type = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    source = models.CharField(max_length=80, blank=True, help_text="Who measured it, when a subject has several meters.")
    kind = models.CharField(max_length=10, choices=Kind)
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=80)
    unit = models.CharField(max_length=20, choices=Unit)
    quantity = models.DecimalField(max_digits=18, decimal_places=6)
    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    rate_price = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    rate_per = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    rate_currency = models.CharField(max_length=3, blank=True)
    rate_source = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("usagerecord"),
            models.UniqueConstraint(
                fields=["tenant", "subject_type", "subject_id", "kind", "provider", "model", "unit", "source"],
                name="usagerecord_once",
            ),
            models.CheckConstraint(name="usagerecord_not_negative", condition=Q(quantity__gte=0)),
            models.CheckConstraint(
                name="usagerecord_cost_has_rate",
                condition=Q(cost=None) | Q(rate_price__isnull=False, rate_per__gt=0) & ~Q(rate_currency=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.unit} of {self.provider} {self.model}"


class RateFields(models.Model):
    """A price for one unit of one model, valid from a moment until the next rate begins."""

    kind = models.CharField(max_length=10, choices=Kind)
    provider = models.CharField(max_length=40, help_text="As the provider catalogue calls it, e.g. google.")
    model = models.CharField(
        max_length=80,
        blank=True,
        help_text="Empty: every model of this provider without a rate. Of a carrier: outbound or inbound, then a country if need "
        "be, e.g. outbound US.",
    )
    unit = models.CharField(max_length=20, choices=Unit)
    price = models.DecimalField(
        max_digits=18, decimal_places=6, validators=[MinValueValidator(0)], help_text="E.g. 0.75 for 1000000 tokens."
    )
    per = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal("0.000001"))],
        help_text="How many units the price is for, e.g. 1000000 tokens or 60 seconds.",
    )
    currency = models.CharField(max_length=3, default="USD", validators=[validate_currency])
    effective_from = models.DateTimeField(help_text="Usage from this moment on costs this much.")
    source = models.CharField(max_length=200, help_text="Where the price comes from, e.g. vendor price page, 2026-11-22.")

    class Meta:
        abstract = True
        ordering = ["kind", "provider", "model", "unit", "-effective_from"]

    def __str__(self) -> str:
        return (
            f"{self.provider} {self.model}: {self.price.normalize():f} {self.currency} per {self.per.normalize():f} {self.unit}"
        )


class DefaultRate(RateFields, UUIDModel):
    """What everybody pays who has no rate of their own. Global: it belongs to no tenant."""

    public_prefix = "rate"

    class Meta(RateFields.Meta):
        constraints = [
            models.UniqueConstraint(fields=["kind", "provider", "model", "unit", "effective_from"], name="defaultrate_once"),
            models.CheckConstraint(name="defaultrate_sane", condition=Q(price__gte=0, per__gt=0)),
        ]


class TenantRate(RateFields, TenantModel):
    """What one tenant pays instead of the default."""

    public_prefix = "trate"

    class Meta(RateFields.Meta, TenantModel.Meta):
        constraints = [
            tenant_key("tenantrate"),
            models.UniqueConstraint(
                fields=["tenant", "kind", "provider", "model", "unit", "effective_from"], name="tenantrate_once"
            ),
            models.CheckConstraint(name="tenantrate_sane", condition=Q(price__gte=0, per__gt=0)),
        ]
