from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path

from calls import hooks
from voiceplatform import health
from voiceplatform.admin.feature_history import history_page
from voiceplatform.admin.feature_matrix import feature_matrix
from voiceplatform.admin.search import search
from voiceplatform.admin.switcher import tenant_switcher


def home(_request: HttpRequest) -> HttpResponse:
    return redirect("admin:index")


urlpatterns = [
    path("", home, name="home"),
    path("api/", include("voiceplatform.api.urls")),
    path("hooks/livekit", hooks.livekit, name="livekit-hook"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/tenant/", admin.site.admin_view(tenant_switcher), name="tenant-switcher"),
    # Before the site's own search, which keeps a person's results for minutes, whichever tenant they have chosen since.
    path("admin/search/", admin.site.admin_view(search), name="search"),
    path("admin/features/", admin.site.admin_view(feature_matrix), name="feature-matrix"),
    path("admin/features/<slug:key>/history/", admin.site.admin_view(history_page), name="feature-history"),
    path("admin/", admin.site.urls),
]
