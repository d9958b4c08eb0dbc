"""Who changed what, and why."""

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.contrib.filters.admin import FieldTextFilter, RangeDateTimeFilter

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.display import EMPTY, moment
from tenants.models import AuditEvent, User


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    list_display = ["when", "tenant", "action_words", "target", "actor", "changed", "reason"]
    list_filter = [("action", FieldTextFilter), ("at", RangeDateTimeFilter)]
    list_select_related = ["tenant"]
    search_fields = ["action", "reason"]
    search_help_text = "Action or reason"
    ordering = ["-at"]
    fields = ["tenant", "at", "action", "target_type", "target_id", "actor", "changed", "data", "reason"]
    empty_title = "Nothing has been changed yet"
    empty_hint = "Publishing an agent, switching a feature or suspending a tenant leaves a line here."

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        events: QuerySet[AuditEvent] = super().get_queryset(request)
        people = User.objects.filter(pk=OuterRef("actor_id")).values("username")[:1]
        return events.annotate(actor_name=Subquery(people))

    @admin.display(description="when", ordering="at")
    def when(self, event: AuditEvent) -> str:
        return moment(event.at, event.tenant.timezone, seconds=True)

    @admin.display(description="action", ordering="action")
    def action_words(self, event: AuditEvent) -> str:
        return in_words(event.action)

    @admin.display(description="on")
    def target(self, event: AuditEvent) -> str:
        return event.target_type.split(".")[-1]

    @admin.display(description="by")
    def actor(self, event: AuditEvent) -> str:
        if event.actor_id is None:
            return "the platform"
        return getattr(event, "actor_name", None) or "a person since removed"

    @admin.display(description="fields")
    def changed(self, event: AuditEvent) -> str:
        return ", ".join(event.fields) or EMPTY


def in_words(action: str) -> str:
    """`feature.switched_off` as people say it: feature switched off."""
    return action.replace(".", " ").replace("_", " ")
