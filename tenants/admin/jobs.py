"""Long work: how far it is, what was refused, and calling it off."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from tenants.admin.base import ConsoleAdmin, ReadOnlyAdminMixin
from tenants.admin.forms import ReasonForm
from tenants.display import EMPTY, badge, moment
from tenants.errors import JobFinishedError
from tenants.jobs import KINDS
from tenants.models import ApiKey, Job, JobError
from tenants.services.jobs import MOST_ERRORS, cancel_job
from tenants.staff import staff_user
from voiceplatform.lib.tables import write_table

TONES = {"queued": "neutral", "running": "info", "succeeded": "success", "failed": "danger", "canceled": "warning"}
ERRORS_SHOWN = 10
COUNTS = ("created", "updated", "unchanged", "empty", "queued")
CANCEL = "tenants.change_job"


class KindFilter(DropdownFilter):
    title = "what"
    parameter_name = "kind"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return list(KINDS.items())

    def queryset(self, _request: HttpRequest, jobs: QuerySet[Job]) -> QuerySet[Job]:
        return jobs.filter(kind=self.value()) if self.value() in KINDS else jobs


@admin.register(Job)
class JobAdmin(ReadOnlyAdminMixin, ConsoleAdmin):
    """Whoever asked for a job sees that one; the list needs its permission."""

    list_display = ["what", "tenant", "status", "progress", "refused", "asker", "created"]
    list_filter = [KindFilter, ("state", ChoicesDropdownFilter)]
    list_select_related = ["tenant", "created_by"]
    ordering = ["-id"]
    actions = None
    fields = ["what", "tenant", "number", "asker", "created", "started", "finished"]
    change_form_outer_before_template = "admin/tenants/job/head.html"
    empty_title = "No long work yet"
    empty_hint = "Imports of leads and of numbers not to call, and replays of webhooks, show their progress here."
    empty_link = ("Open the leads", "admin:calls_lead_changelist")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        names = ApiKey.objects.filter(pk=OuterRef("created_by_key")).values("name")
        jobs: QuerySet[Job] = super().get_queryset(request)
        return jobs.annotate(key_name=Subquery(names[:1]))

    def has_view_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        allowed: bool = super().has_view_permission(request, obj)
        return allowed or (obj is not None and obj.created_by_id == request.user.pk)

    @admin.display(description="what", ordering="kind")
    def what(self, job: Job) -> str:
        return KINDS.get(job.kind, job.kind)

    @admin.display(description="id")
    def number(self, job: Job) -> SafeString:
        return format_html('<span class="vp-mono">{}</span>', job.public_id)

    @admin.display(description="state", ordering="state")
    def status(self, job: Job) -> SafeString:
        return badge(job.get_state_display(), TONES[job.state], title=job.error)

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        return f"{job.done:,} of {job.total:,}"

    @admin.display(description="refused")
    def refused(self, job: Job) -> str:
        return f"{job.failed:,}" if job.failed else EMPTY

    @admin.display(description="asked for by")
    def asker(self, job: Any) -> str:
        if job.created_by:
            return str(job.created_by)
        return job.key_name or ("a key of the agency" if job.created_by_key else EMPTY)

    @admin.display(description="asked for", ordering="id")
    def created(self, job: Job) -> SafeString | str:
        return moment(job.created_at, job.tenant.timezone, seconds=True)

    @admin.display(description="begun")
    def started(self, job: Job) -> SafeString | str:
        return moment(job.started_at, job.tenant.timezone, seconds=True)

    @admin.display(description="finished")
    def finished(self, job: Job) -> SafeString | str:
        return moment(job.finished_at, job.tenant.timezone, seconds=True)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.row_path("progress/", self.progress_view, "progress"),
            self.row_path("errors.csv", self.errors_view, "errors"),
            self.row_path("cancel/", require_POST(self.cancel_view), "cancel"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        job = kwargs["obj"]
        shown = {**_progress(job), "may_cancel": job.is_open and request.user.has_perm(CANCEL)}
        response: HttpResponse = super().render_change_form(request, {**context, **shown}, *args, **kwargs)
        return response

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        job = self._seen(request, object_id)
        response = render(request, "admin/tenants/job/progress.html", _progress(job))
        if not job.is_open:
            response["HX-Refresh"] = "true"
        return response

    def errors_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        job = self._seen(request, object_id)
        rows = JobError.objects.filter(job=job).order_by("row").values_list("row", "field", "message")
        lines = write_table(("row", "column", "message"), rows)
        headers = {"Content-Disposition": f'attachment; filename="{job.public_id}-errors.csv"'}
        return HttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        job = self._seen(request, object_id)
        if not request.user.has_perm(CANCEL):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was cancelled: say why, it is kept in the audit.")
            return redirect(self.row_url("change", job))
        try:
            cancel_job(job=job, actor=staff_user(request), reason=form.cleaned_data["reason"])
            messages.success(request, "It has stopped. What was done stays.")
        except JobFinishedError as error:
            messages.info(request, str(error))
        return redirect(self.row_url("change", job))

    def _seen(self, request: HttpRequest, object_id: str) -> Job:
        job: Job = self.row_or_404(request, object_id)
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job


def _progress(job: Job) -> dict[str, Any]:
    refused = list(JobError.objects.filter(job=job).order_by("row")[:ERRORS_SHOWN]) if job.failed else []
    return {
        "job": job,
        "state": badge(job.get_state_display(), TONES[job.state]),
        "counts": [(name, job.result[name]) for name in COUNTS if job.result.get(name)],
        "refused_rows": refused,
        "most_errors": MOST_ERRORS,
    }
