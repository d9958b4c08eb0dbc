"""Lists of what agents can be made of."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.catalogue import provider_entries, tool_entries, voice_entries
from agents.api.serializers import ProviderSerializer, ToolSerializer, VoiceSerializer
from agents.api.settings_schema import settings_schema
from tenants.api.resources import CatalogueViewSet
from voiceplatform.lib.api.filters import refuse_unknown


@extend_schema_view(list=extend_schema(summary="List voices"))
class VoiceViewSet(CatalogueViewSet):
    scopes = {"list": "agents:read"}
    serializer_class = VoiceSerializer

    def entries(self) -> Iterable[dict[str, Any]]:
        return voice_entries()


@extend_schema_view(list=extend_schema(summary="List providers with their models"))
class ProviderViewSet(CatalogueViewSet):
    scopes = {"list": "agents:read"}
    serializer_class = ProviderSerializer

    def entries(self) -> Iterable[dict[str, Any]]:
        return provider_entries()


@extend_schema_view(list=extend_schema(summary="List tools"))
class ToolViewSet(CatalogueViewSet):
    scopes = {"list": "agents:read"}
    serializer_class = ToolSerializer

    def entries(self) -> Iterable[dict[str, Any]]:
        return tool_entries()


class SettingsSchemaViewSet(CatalogueViewSet):
    scopes = {"list": "agents:read"}
    pagination_class = None

    @extend_schema(
        summary="Fetch the JSON Schema of a version's settings",
        operation_id="settings_schema_retrieve",
        responses=OpenApiTypes.OBJECT,
    )
    def list(self, request: Request) -> Response:
        """Every setting with its title, help, unit, range and default."""
        refuse_unknown(request, [])
        return Response(settings_schema())
