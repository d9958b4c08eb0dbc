"""The companies that carry calls, and the trunks to them."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from calls.carriers import Carrier
from calls.models.mirrored import Mirrored
from tenants.models import EncryptedTextField, Tenant, TenantForeignKey, TenantModel, tenant_key

HIGHEST_CPS = 100
MOST_CHANNELS = 10_000


class CarrierAccount(TenantModel):
    """The tenant's account with a carrier: what numbers are listed, bought and released with."""

    public_prefix = "car"
    unversioned: ClassVar[frozenset[str]] = frozenset({"checked_at", "check_error"})

    name = models.CharField(max_length=120, help_text="E.g. Vonage, main account.")
    carrier = models.CharField(max_length=10, choices=Carrier.choices)
    api_key = models.CharField(max_length=120, blank=True, help_text="The account's key or id, from the carrier's console.")
    api_secret: Any = EncryptedTextField(null=True, blank=True)
    metadata: Any = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the carrier last answered us.")
    check_error = models.CharField(max_length=500, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("carrieraccount"),
            models.UniqueConstraint(fields=["tenant", "name"], name="carrieraccount_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class SipTrunk(TenantModel, Mirrored):
    """A way to and from a carrier. Its tenant uses it by a grant as any other tenant does.

    `livekit_id` is the outbound trunk of the LiveKit server; each number has an inbound one of its own. A trunk that is
    stopped places no calls until somebody resumes it.
    """

    class Transport(models.TextChoices):
        UDP = "udp", "UDP"
        TCP = "tcp", "TCP"
        TLS = "tls", "TLS"

    public_prefix = "trk"
    unversioned: ClassVar[frozenset[str]] = Mirrored.unversioned | {"stopped_at", "stopped_reason"}

    account = models.ForeignKey(
        CarrierAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="trunks", db_constraint=False
    )
    name = models.CharField(max_length=120, help_text="E.g. Vonage US.")
    carrier = models.CharField(max_length=10, choices=Carrier.choices)
    address = models.CharField(max_length=255, help_text="Host, with a port if need be, e.g. sip.example.com:5060.")
    transport = models.CharField(max_length=3, choices=Transport, default=Transport.TCP)
    auth_username = models.CharField(max_length=120, blank=True, help_text="Who we are to the carrier; empty for none.")
    auth_password: Any = EncryptedTextField(null=True, blank=True)
    allowed_addresses: Any = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        help_text="Where inbound calls may come from, as addresses or networks, e.g. 203.0.113.0/28. Empty: from anywhere.",
    )
    cps = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(HIGHEST_CPS)],
        help_text="Calls begun in a second, at most; ask the carrier.",
    )
    channels = models.PositiveIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CHANNELS)],
        help_text="Calls at the same time, at most, inbound ones included.",
    )
    billed_as = models.CharField(
        max_length=40, blank=True, help_text="The provider its minutes are priced as under Rates, e.g. acme. Empty: the carrier."
    )
    billing_minimum_s = models.PositiveSmallIntegerField(
        "billed at least (s)",
        default=60,
        validators=[MinValueValidator(1)],
        help_text="Seconds the carrier bills for the shortest answered call, e.g. 60.",
    )
    billing_step_s = models.PositiveSmallIntegerField(
        "billed in steps of (s)",
        default=60,
        validators=[MinValueValidator(1)],
        help_text="Seconds by which longer calls are rounded up, e.g. 60, or 1 for every second begun.",
    )
    metadata: Any = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)
    stopped_reason = models.CharField(max_length=500, blank=True, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "SIP trunk"
        ordering = ["-id"]
        constraints = [
            tenant_key("siptrunk"),
            TenantForeignKey(field="account", name="siptrunk_account_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "name"], condition=Q(retired_at=None), name="siptrunk_name_once"),
            models.CheckConstraint(name="siptrunk_carries_calls", condition=Q(cps__gt=0, channels__gt=0)),
            models.CheckConstraint(
                name="siptrunk_is_billed_in_steps", condition=Q(billing_minimum_s__gt=0, billing_step_s__gt=0)
            ),
            models.CheckConstraint(
                name="siptrunk_stopped_with_a_reason",
                condition=Q(stopped_at=None, stopped_reason="") | (Q(stopped_at__isnull=False) & ~Q(stopped_reason="")),
            ),
            models.CheckConstraint(
                name="siptrunk_password_needs_a_username", condition=Q(auth_password__isnull=True) | ~Q(auth_username="")
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TrunkPace(TenantModel):
    """When a trunk's next call may begin. A row of its own, because every call of the trunk writes it."""

    public_prefix = "pac"

    trunk = models.ForeignKey(SipTrunk, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    next_invite_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("trunkpace"),
            TenantForeignKey(field="trunk", name="trunkpace_trunk_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "trunk"], name="trunkpace_once"),
        ]

    def __str__(self) -> str:
        return f"pace of {self.trunk_id}"


class TrunkGrant(TenantModel):
    """Lets a tenant use a trunk of its own or of its agency (`owner`), for so many calls at once.

    `reserved_inbound` of the `channels` are kept for people who call in.
    """

    public_prefix = "grt"

    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", editable=False)
    trunk = models.ForeignKey(SipTrunk, on_delete=models.PROTECT, related_name="grants", db_constraint=False)
    channels = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CHANNELS)],
        help_text="Calls of this tenant at the same time, at most.",
    )
    reserved_inbound = models.PositiveIntegerField(
        default=0, help_text="How many of them are kept for people who call in, so that outbound calls never take all."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("trunkgrant"),
            TenantForeignKey(field="trunk", owner="owner", name="trunkgrant_trunk_of_its_owner"),
            models.UniqueConstraint(fields=["tenant", "trunk"], condition=Q(revoked_at=None), name="trunkgrant_once"),
            models.CheckConstraint(
                name="trunkgrant_leaves_lines_for_outbound", condition=Q(channels__gt=0, reserved_inbound__lte=F("channels"))
            ),
        ]
        indexes = [models.Index(fields=["tenant", "trunk"], name="trunkgrant_of_trunk")]

    def __str__(self) -> str:
        return f"{self.trunk} for {self.tenant}"
