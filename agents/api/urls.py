from rest_framework.routers import SimpleRouter

from agents.api.catalogue_views import ProviderViewSet, SettingsSchemaViewSet, ToolViewSet, VoiceViewSet
from agents.api.views import AgentViewSet, DraftViewSet, VersionViewSet


def register(router: SimpleRouter) -> None:
    router.register("agents", AgentViewSet, basename="agent")
    router.register("agents", DraftViewSet, basename="agent_draft")
    router.register("agents", VersionViewSet, basename="agent_version")
    router.register("voices", VoiceViewSet, basename="voice")
    router.register("providers", ProviderViewSet, basename="provider")
    router.register("tools", ToolViewSet, basename="tool")
    router.register("settings_schema", SettingsSchemaViewSet, basename="settings_schema")
