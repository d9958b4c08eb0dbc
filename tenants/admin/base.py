"""What every page of the staff console is made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from tenants.models import TenantModel
from tenants.scope import EVERYONE, current_scope, tenant_scope

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Tab:
    title: str
    url: str
    current: bool


class ConsoleAdmin(ModelAdmin):
    """A list that never counts its rows, says what to do when it is empty, and pages that stay in one tenant.

    While all tenants are in view, a page of one row runs in the scope of that row's tenant, so every choice,
    inline and save on it is limited to that tenant; nothing is added before a tenant has been chosen.
    """

    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_fullwidth = True
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True
    list_before_template = "admin/console/before_list.html"
    empty_title = "Nothing here yet"
    empty_hint = ""
    empty_link: tuple[str, str] | None = None  # label, URL name

    @property
    def owner_field(self) -> str:
        """The column that says whose row it is; empty for rows of nobody."""
        return "tenant_id" if is_tenant_owned(self.model) else ""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Without the tenant's name where only one tenant is in view."""
        columns = super().get_list_display(request)
        return [column for column in columns if column != "tenant" or current_scope() is EVERYONE]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not self._wants_tenant() and self.may_add(request)

    def may_add(self, request: HttpRequest) -> bool:
        """Whether these rows are added by hand, and by this person, once a tenant has been chosen."""
        allowed: bool = super().has_add_permission(request)
        return allowed

    def _wants_tenant(self) -> bool:
        return is_tenant_owned(self.model) and current_scope() is EVERYONE

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        shown = {"title": capfirst(self.opts.verbose_name_plural), "wants_tenant": self._wants_tenant() and self.may_add(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return self.tenant_first(request) or super().add_view(request, form_url, extra_context)

    def tenant_first(self, request: HttpRequest) -> HttpResponseBase | None:
        """To the list, which says what to do, where a tenant has to be chosen before anything is added."""
        wants = request.method == "GET" and self._wants_tenant() and self.may_add(request)
        return redirect(self.list_url()) if wants else None

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        with self.row_scope(object_id):
            return rendered(super().changeform_view(request, object_id, form_url, extra_context))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        with self.row_scope(object_id):
            return rendered(super().delete_view(request, object_id, extra_context))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        with self.row_scope(object_id):
            return rendered(super().history_view(request, object_id, extra_context))

    def _get_obj_does_not_exist_redirect(self, _request: HttpRequest, opts: Any, _object_id: str) -> Any:
        """Missing rows and other tenants' answer alike."""
        raise Http404(f"There is no such {opts.verbose_name}.")

    @contextmanager
    def row_scope(self, object_id: str | None) -> Iterator[None]:
        """Narrow "all tenants" to the tenant of the row, if there is such a row."""
        tenant_id = self._tenant_of(object_id) if object_id and current_scope() is EVERYONE else None
        if tenant_id is None:
            yield
            return
        with tenant_scope(tenant_id):
            yield

    def _tenant_of(self, object_id: str) -> UUID | None:
        if not self.owner_field:
            return None
        try:
            rows = self.model._default_manager.filter(pk=unquote(object_id))
            tenant_id: UUID | None = rows.values_list(self.owner_field, flat=True).first()
        except (ValidationError, ValueError):
            return None
        return tenant_id

    def row_path(self, route: str, view: View, name: str) -> URLPattern:
        """A page below one row, in that row's scope: `view(request, object_id, **kwargs)`."""

        @wraps(view)
        def scoped(request: HttpRequest, object_id: str, **kwargs: Any) -> HttpResponseBase:
            with self.row_scope(object_id):
                return rendered(view(request, object_id, **kwargs))

        label = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        pattern: URLPattern = path(f"<path:object_id>/{route}", self.admin_site.admin_view(scoped), name=label)
        return pattern

    def row_url(self, name: str, row: Model) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}", args=[row.pk])

    def list_url(self) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def page(self, request: HttpRequest, template: str, *, row: Model, title: str = "", **context: Any) -> TemplateResponse:
        """A page of one row inside the console's frame."""
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": title or str(row),
            "media": self.media,
            "list_url": self.list_url(),
        }
        return TemplateResponse(request, template, {**shared, **context})

    def row_or_404(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        return row


class ReadOnlyAdminMixin:
    """Records of what happened: staff with the view permission read them, nobody edits them."""

    warn_unsaved_form = False

    def may_add(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def is_tenant_owned(model: type[Model]) -> bool:
    return issubclass(model, TenantModel)


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """The response with its template rendered now, while the scope it needs is still entered."""
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        response.render()
    return response
