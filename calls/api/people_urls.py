from rest_framework.routers import SimpleRouter

from calls.api.imports import LeadImportViewSet, SuppressionImportViewSet
from calls.api.people import (
    CallingWindowViewSet,
    ConsentViewSet,
    GateViewSet,
    LeadViewSet,
    SuppressionViewSet,
)


def register(router: SimpleRouter) -> None:
    # First, for `import` looks like an id.
    router.register("leads", LeadImportViewSet, basename="lead_import")
    router.register("suppressions", SuppressionImportViewSet, basename="suppression_import")
    router.register("leads", LeadViewSet, basename="lead")
    router.register(r"leads/(?P<lead_id>[^/]+)/consents", ConsentViewSet, basename="consent")
    router.register("suppressions", SuppressionViewSet, basename="suppression")
    router.register("calling_windows", CallingWindowViewSet, basename="calling_window")
    router.register("gates", GateViewSet, basename="gate")
