"""The people who sign in."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tenants.admin.base import ConsoleAdmin
from tenants.display import EMPTY, moment
from tenants.models import Membership, User
from tenants.staff import staff_scope


@admin.register(User)
class UserAdmin(ConsoleAdmin, DjangoUserAdmin):
    """Rights of people are the business of those who see every tenant; others see the people of theirs."""

    form = UserChangeForm
    add_form = UserCreationForm
    add_fieldsets = DjangoUserAdmin.add_fieldsets  # Unfold's admin brings an empty one
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "full_name", "email", "is_staff", "is_superuser", "last_seen"]
    list_filter = [("is_staff", BooleanRadioFilter), ("is_active", BooleanRadioFilter)]
    search_fields = ["username", "email", "first_name", "last_name"]
    search_help_text = "Name or e-mail"
    empty_title = "Nobody works for this tenant yet"
    empty_hint = "Open the tenant and add people under Members."

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        scope = staff_scope(request)
        if scope is None:
            return people.none()
        if scope.tenant is None:
            return people
        return people.filter(pk__in=Membership.objects.values("user_id"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _sees_all(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers may edit a superuser: rights are not handed upwards."""
        if not _sees_all(request) or (obj is not None and obj.is_superuser and not _is_superuser(request)):
            return False
        allowed: bool = super().has_change_permission(request, obj)
        return allowed

    def has_delete_permission(self, _request: HttpRequest, _obj: User | None = None) -> bool:
        """People are deactivated: published versions and the audit name them."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        fixed = ["last_login", "date_joined"]
        return fixed if _is_superuser(request) else [*fixed, "is_superuser", "user_permissions", "groups"]

    @admin.display(description="name")
    def full_name(self, user: User) -> str:
        return user.get_full_name() or EMPTY

    @admin.display(description="last signed in", ordering="last_login")
    def last_seen(self, user: User) -> Any:
        return moment(user.last_login)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ConsoleAdmin):
    list_display = ["name"]
    search_fields = ["name"]
    filter_horizontal = ["permissions"]
    empty_title = "No groups yet"
    empty_hint = "A group is a named set of rights, e.g. Support: may see calls and hang up."

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return _is_superuser(request)


def _sees_all(request: HttpRequest) -> bool:
    scope = staff_scope(request)
    return scope is not None and scope.sees_all


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
