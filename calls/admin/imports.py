"""Importing a list from a file, from the list it is for."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget

from calls.services.imports import EXAMPLES, begin_import
from tenants.admin.base import ConsoleAdmin
from tenants.models import Tenant
from tenants.scope import EVERYONE, current_scope, current_tenant_id
from tenants.staff import staff_user
from voiceplatform.lib.tables import write_table


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file", widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt"}), allow_empty_file=True
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > settings.VP_IMPORT_MAX_MB * 1024 * 1024:
            raise forms.ValidationError(f"The file has more than {settings.VP_IMPORT_MAX_MB} MB. Split it.")
        return file


class ImportingAdmin(ConsoleAdmin):
    """A button above the list, a page that takes a file, and a file to begin with."""

    import_kind: str
    import_columns: tuple[tuple[str, str], ...]  # name, what it holds
    actions_list = ["import_list"]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.may_add(request)

    @action(description="Import a list", url_path="import", permissions=["import"], icon="upload_file")  # type: ignore[untyped-decorator]
    def import_list(self, request: HttpRequest) -> HttpResponseBase:
        if current_scope() is EVERYONE:
            messages.info(request, "All tenants are in view. To import a list, choose its tenant in the header first.")
            return redirect(self.list_url())
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                job = begin_import(kind=self.import_kind, file=form.cleaned_data["file"], actor=staff_user(request))
                return redirect(reverse("admin:tenants_job_change", args=[job.pk]))
            except ValidationError as error:
                form.add_error("file", error.message_dict["file"][0])
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "list_url": self.list_url(), "form": form}
        tenant = Tenant.objects.get(pk=current_tenant_id())
        context = {"title": f"Import {self.opts.verbose_name_plural}", "columns": self.import_columns, "tenant": tenant}
        return TemplateResponse(request, "admin/calls/import.html", {**shared, **context})

    def example_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_import_permission(request):
            raise PermissionDenied
        header, *rows = EXAMPLES[self.import_kind]
        name = f"{self.opts.model_name}-example.csv"
        lines = write_table(header, rows, formulas=True)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_example"
        example = path("import/example.csv", self.admin_site.admin_view(self.example_view), name=name)
        return [example, *super().get_urls()]
