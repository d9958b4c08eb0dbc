"""What came in over the API: answers to repeat, and a log."""

from typing import Any

from django.db import models

from tenants.models.api_key import ApiKey
from tenants.models.base import TenantForeignKey, TenantModel, tenant_key


class IdempotencyRecord(TenantModel):
    """The answer to a POST that carried an `Idempotency-Key`, written in the transaction of its effect."""

    public_prefix = "idm"

    key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("idempotencyrecord"),
            models.UniqueConstraint(fields=["tenant", "key"], name="idempotencyrecord_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotencyrecord_oldest")]

    def __str__(self) -> str:
        return self.key


class RequestLog(TenantModel):
    """One request over the API: who asked for what and how it went. No secrets, no bodies, no query strings."""

    public_prefix = "req"

    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    key_prefix = models.CharField(max_length=16, help_text="Which key: its prefix, also when an agency acts for a customer.")
    at = models.DateTimeField()
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=300)
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=60, blank=True, help_text="The code of the problem, when it was refused.")
    duration_ms = models.PositiveIntegerField()
    request_id = models.CharField(max_length=64)
    ip: Any = models.GenericIPAddressField(null=True)

    class Meta(TenantModel.Meta):
        verbose_name = "API request"
        ordering = ["-id"]
        constraints = [tenant_key("requestlog"), TenantForeignKey(field="api_key", name="requestlog_api_key_same_tenant")]
        indexes = [
            models.Index(fields=["at"], name="requestlog_oldest"),
            models.Index(fields=["tenant", "request_id"], name="requestlog_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"
