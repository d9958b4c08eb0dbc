"""The list of calls as REST framework alone would give it, beside the platform's own with parts taken out."""

from typing import Any
from uuid import UUID

from django.db.models import F, Prefetch
from django.urls import include, path
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination

from calls.api.serializers import KEPT_LEGS, KEPT_RECORDINGS, CallSerializer
from calls.api.views import CallViewSet
from calls.models import Call, Leg, Recording
from tenants.scope import tenant_scope
from voiceplatform.middleware import rendered


class Chosen:
    """Whose calls the views show, for they know no keys."""

    tenant_id: UUID


class BarePages(CursorPagination):
    page_size = 20
    page_size_query_param = "limit"
    ordering = "-id"


class BareCalls(ListAPIView):
    """The same rows and the same JSON; no key, scope, limit, filter or log."""

    authentication_classes = ()
    permission_classes = ()
    filter_backends = ()
    pagination_class = BarePages
    serializer_class = CallSerializer

    def get_queryset(self) -> Any:
        recordings = Prefetch("recordings", queryset=Recording.all_objects.all(), to_attr=KEPT_RECORDINGS)
        legs = Prefetch("legs", queryset=Leg.all_objects.all(), to_attr=KEPT_LEGS)
        rows = Call.all_objects.filter(tenant_id=Chosen.tenant_id)
        return rows.annotate(version_number=F("version__number")).prefetch_related(recordings, legs)


class OpenCalls(CallViewSet):
    """The platform's list without authentication, scope, limit and log."""

    authentication_classes = ()
    permission_classes = ()

    def check_throttles(self, request: Any) -> None:
        pass

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with tenant_scope(Chosen.tenant_id):
            return rendered(super().dispatch(request, *args, **kwargs))


urlpatterns = [
    path("bare/calls", BareCalls.as_view()),
    path("open/calls", OpenCalls.as_view({"get": "list"})),
    path("", include("voiceplatform.urls")),
]
