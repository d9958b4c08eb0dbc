from rest_framework.routers import SimpleRouter

from tenants.api.jobs import JobViewSet
from tenants.api.views import ApiKeyViewSet, FeatureViewSet, MeViewSet


def register(router: SimpleRouter) -> None:
    router.register("me", MeViewSet, basename="me")
    router.register("api_keys", ApiKeyViewSet, basename="api_key")
    router.register("features", FeatureViewSet, basename="feature")
    router.register("jobs", JobViewSet, basename="job")
