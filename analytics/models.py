"""Figures about finished calls."""

from django.db import models
from django.db.models import Q

from agents.models import Agent
from calls.models import Call
from tenants.models import TenantForeignKey, TenantModel, tenant_key


class DailyRollup(TenantModel):
    """The finalised calls of one day, in the tenant's time zone, by agent, kind, mode and currency."""

    public_prefix = "day"

    day = models.DateField(help_text="The day the calls were placed.")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=9, choices=Call.Kind)
    livemode = models.BooleanField()
    currency = models.CharField(max_length=3)
    calls = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    seconds = models.DecimalField(max_digits=18, decimal_places=3, default=0)
    cost = models.DecimalField(max_digits=18, decimal_places=6, default=0)

    class Meta(TenantModel.Meta):
        ordering = ["-day"]
        constraints = [
            tenant_key("dailyrollup"),
            TenantForeignKey(field="agent", name="dailyrollup_agent_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "day", "agent", "kind", "livemode", "currency"], name="dailyrollup_once"),
            models.CheckConstraint(
                name="dailyrollup_parts_fit", condition=Q(calls__gte=models.F("completed") + models.F("failed"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.calls}"
