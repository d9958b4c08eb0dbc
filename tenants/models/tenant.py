"""Tenants, the people who work for them, and their roles."""

from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from tenants.models.base import TenantModel, UUIDModel, tenant_key
from voiceplatform.lib.ids import uuid7

validate_currency = RegexValidator(r"^[A-Z]{3}$", "Use an ISO code of three capital letters, such as USD or EUR.")


def validate_timezone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is not a time zone. Use a name such as Europe/Berlin or America/Chicago.")


class Tenant(UUIDModel):
    """The owner of rows: a customer, or an agency with customers of its own."""

    class Status(models.TextChoices):
        TRIAL = "trial", "trial"
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"
        CLOSING = "closing", "closing"
        PURGED = "purged", "purged"

    public_prefix = "ten"

    name = models.CharField(max_length=120, unique=True, help_text="As staff and invoices call it, e.g. Bright Smile Dental.")
    slug = models.SlugField(max_length=60, unique=True, help_text="Short name for commands and file names, e.g. bright-smile.")
    agency = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        help_text="The agency this tenant is a customer of; empty for an agency or a direct customer.",
    )
    plan = models.ForeignKey(
        "tenants.Plan",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Its features and limits hold unless the tenant has its own.",
    )
    status = models.CharField(max_length=9, choices=Status, default=Status.TRIAL, editable=False)
    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="Agents tell dates and times in this zone, e.g. America/Chicago.",
    )
    currency = models.CharField(
        max_length=3, default="USD", validators=[validate_currency], help_text="ISO code all costs are shown in, e.g. USD."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        permissions = [("see_all_tenants", "Can see every tenant"), ("suspend_tenant", "Can suspend and activate tenants")]
        constraints = [models.CheckConstraint(name="tenant_not_its_own_agency", condition=Q(agency=None) | ~Q(agency=F("id")))]

    def __str__(self) -> str:
        return self.name

    @property
    def takes_new_work(self) -> bool:
        return self.status in (self.Status.TRIAL, self.Status.ACTIVE)

    def clean(self) -> None:
        if self.agency_id is None:
            return
        if self.agency is not None and self.agency.agency_id is not None:
            raise ValidationError({"agency": "There are two levels: this agency is itself a customer of another agency."})
        if self.pk and Tenant.objects.filter(agency_id=self.pk).exists():
            raise ValidationError({"agency": "This tenant has customers of its own, so it cannot belong to an agency."})


class User(AbstractUser):
    """A person who signs in: staff of the agency, or a member of tenants."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)


class Membership(TenantModel):
    """What a user may do for a tenant."""

    class Role(models.TextChoices):
        OWNER = "owner", "owner"
        ADMIN = "admin", "admin"
        OPERATOR = "operator", "operator"
        ANALYST = "analyst", "analyst"
        VIEWER = "viewer", "viewer"

    public_prefix = "mem"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=8, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("membership"),
            models.UniqueConstraint(
                fields=["tenant", "user"], name="membership_once", violation_error_message="Already a member."
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"
