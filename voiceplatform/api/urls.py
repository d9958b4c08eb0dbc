"""Every address of the customer API."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from agents.api import urls as agents
from calls.api import people_urls as people
from calls.api import urls as calls
from integrations.api import urls as integrations
from tenants.api import urls as tenants
from voiceplatform.api.views import not_found, problems

router = SimpleRouter(trailing_slash=False)
for app in (tenants, agents, people, calls, integrations):
    app.register(router)

urlpatterns = [
    path("v1/", include(router.urls)),
    re_path(r"^v1(?:/.*)?$", not_found),
    path("schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("docs/problems", problems, name="api-problems"),
]
