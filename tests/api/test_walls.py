"""Every address of the API: a scope for each action, a row in this table for each address."""

import pytest
from rest_framework.viewsets import ViewSetMixin

from tenants.api.resources import ResourceViewSet
from tenants.roles import SCOPES
from voiceplatform.api.urls import router

VIEWS = {name: view for _, view, name in router.registry}


def actions_of(view):
    standard = {"list", "retrieve", "create", "update", "partial_update", "destroy"}
    extra = {name for action in view.get_extra_actions() for name in action.mapping.values()}
    return {name for name in standard if hasattr(view, name)} | extra


@pytest.mark.parametrize("name", VIEWS)
def test_every_action_names_a_scope_that_exists(name):
    view = VIEWS[name]
    assert issubclass(view, ResourceViewSet)
    assert issubclass(view, ViewSetMixin)
    if not view.permission_classes:
        assert name == "me", "only a key's own facts are open to every key"
        return
    assert actions_of(view) == set(view.scopes)
    assert set(view.scopes.values()) <= set(SCOPES)


@pytest.mark.parametrize("name", VIEWS)
def test_no_viewset_keeps_rows_in_its_class(name):
    assert VIEWS[name].queryset is None
