"""An agent, its numbered versions, and the tools each version may use."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q

from tenants.models import TenantForeignKey, TenantManager, TenantModel, TenantQuerySet, User, tenant_key


class AgentQuerySet(TenantQuerySet):
    def in_use(self) -> Self:
        return self.filter(archived_at=None)


class AgentManager(TenantManager.from_queryset(AgentQuerySet)):  # type: ignore[misc]
    pass


class Agent(TenantModel):
    """Someone a caller can talk to; what it says and does is fixed by its versions."""

    public_prefix = "agt"

    name = models.CharField(max_length=80, help_text="As callers and staff know it, e.g. Ava.")
    description = models.CharField(max_length=300, blank=True, help_text="For staff, e.g. Answers the front desk after hours.")
    metadata: Any = models.JSONField(default=dict, blank=True, editable=False)
    # The version calls get; a trigger keeps it one of this agent's published versions.
    published_version = models.ForeignKey(
        "agents.AgentVersion",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[AgentManager] = AgentManager()

    class Meta(TenantModel.Meta):
        ordering = ["name"]
        permissions = [("publish_agent", "Can publish versions of agents")]
        constraints = [
            tenant_key("agent"),
            models.UniqueConstraint(
                fields=["tenant", "name"], name="agent_name_once", violation_error_message="Another agent has this name."
            ),
            TenantForeignKey(field="published_version", name="agent_published_version_same_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class AgentVersionQuerySet(TenantQuerySet):
    def drafts(self) -> Self:
        return self.filter(state=AgentVersion.State.DRAFT)

    def published(self) -> Self:
        return self.filter(state=AgentVersion.State.PUBLISHED)


class AgentVersionManager(TenantManager.from_queryset(AgentVersionQuerySet)):  # type: ignore[misc]
    pass


class AgentVersion(TenantModel):
    """Everything an agent says and does, at one number. A published version never changes (trigger)."""

    class State(models.TextChoices):
        DRAFT = "draft", "draft"
        PUBLISHED = "published", "published"

    public_prefix = "agv"

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="versions", db_constraint=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State, default=State.DRAFT, editable=False)
    settings: Any = models.JSONField(default=dict)
    compiled: Any = models.JSONField(null=True, blank=True, editable=False)
    note = models.CharField(max_length=300, blank=True, help_text="What changed, e.g. New opening hours.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    published_by = models.ForeignKey(User, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+")

    objects: ClassVar[AgentVersionManager] = AgentVersionManager()

    class Meta(TenantModel.Meta):
        ordering = ["-number"]
        constraints = [
            tenant_key("agentversion"),
            TenantForeignKey(field="agent", name="agentversion_agent_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "agent", "number"], name="agentversion_number_once"),
            models.UniqueConstraint(fields=["tenant", "agent"], condition=Q(state="draft"), name="agentversion_one_draft"),
            models.CheckConstraint(name="agentversion_number_from_one", condition=Q(number__gte=1)),
            models.CheckConstraint(
                name="agentversion_published_iff_compiled",
                condition=Q(state="published", compiled__isnull=False, published_at__isnull=False)
                | Q(state="draft", compiled__isnull=True, published_at__isnull=True, published_by__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number} ({self.state})"

    @property
    def is_published(self) -> bool:
        return self.state == self.State.PUBLISHED


class ToolGrant(TenantModel):
    """Permission for one version to use one tool of the catalogue, with the tool's settings."""

    public_prefix = "grt"

    version = models.ForeignKey(AgentVersion, on_delete=models.CASCADE, related_name="grants", db_constraint=False)
    key = models.CharField(max_length=60)
    config: Any = models.JSONField(default=dict, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["key"]
        constraints = [
            tenant_key("toolgrant"),
            TenantForeignKey(field="version", name="toolgrant_version_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "version", "key"], name="toolgrant_once"),
        ]

    def __str__(self) -> str:
        return self.key
