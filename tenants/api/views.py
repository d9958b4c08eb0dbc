"""Who is asking, with which keys, and what they have."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import errors as _errors  # noqa: F401 - registers what they mean
from tenants.api.idempotency import idempotent
from tenants.api.resources import CatalogueViewSet, ListMixin, ResourceViewSet, RetrieveMixin
from tenants.api.serializers import ApiKeySerializer, FeatureSerializer, MeSerializer, NewApiKeySerializer
from tenants.features import FEATURES, feature_spec
from tenants.models import ApiKey, Tenant
from tenants.scope import current_tenant_id
from tenants.services.api_keys import create_key, revoke_key
from tenants.services.features import enabled_features
from voiceplatform.lib.api.filters import refuse_unknown
from voiceplatform.lib.ids import to_public_id


class MeViewSet(CatalogueViewSet):
    """The account and the key of this request."""

    scopes = {}
    permission_classes = []
    pagination_class = None
    serializer_class = MeSerializer

    @extend_schema(summary="Who am I?", operation_id="me_retrieve", responses=MeSerializer)
    def list(self, request: Request) -> Response:
        refuse_unknown(request, [])
        caller, tenant = self.caller, Tenant.objects.get(pk=current_tenant_id())
        shown = {
            "tenant": tenant.public_id,
            "tenant_name": tenant.name,
            "tenant_status": tenant.status,
            "timezone": tenant.timezone,
            "currency": tenant.currency,
            "api_key": to_public_id(ApiKey.public_prefix, caller.key_id),
            "api_key_name": caller.key_name,
            "livemode": caller.livemode,
            "scopes": sorted(caller.scopes),
            "expires_at": caller.expires_at,
        }
        return Response(MeSerializer(shown).data)


class ApiKeyViewSet(ListMixin, RetrieveMixin, ResourceViewSet):
    prefix = ApiKey.public_prefix
    scopes = {"list": "api_keys:read", "retrieve": "api_keys:read", "create": "api_keys:write", "revoke": "api_keys:write"}
    serializer_class = ApiKeySerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = ApiKey.objects.all()
        return rows

    @extend_schema(summary="Create an API key", request=ApiKeySerializer, responses={201: NewApiKeySerializer})
    def create(self, request: Request) -> Response:
        """The key is in the answer's `secret`, this once. Test keys make no live keys."""
        wanted: dict[str, Any] = self.body(ApiKeySerializer, request)
        if wanted["livemode"]:
            self.require_live_key("A test key cannot make a live key.", param="livemode")
        made = create_key(**wanted, may_grant=self.caller.scopes)
        return Response({**ApiKeySerializer(made.row).data, "secret": made.secret}, status=201)

    @extend_schema(summary="Revoke an API key", request=None, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def revoke(self, request: Request, id: str) -> Response:
        """Refused everywhere within seconds, for good. Repeating it changes nothing."""
        key = self.get_object()
        revoke_key(key=key)
        key.refresh_from_db()
        return Response(ApiKeySerializer(key).data)


class FeatureViewSet(CatalogueViewSet):
    """What the agency has switched on; agents may only use tools whose feature is on."""

    scopes = {"list": "features:read", "retrieve": "features:read"}
    serializer_class = FeatureSerializer

    def entries(self) -> Iterable[dict[str, Any]]:
        enabled = enabled_features()
        return [_feature(key, enabled) for key in FEATURES]

    @extend_schema(summary="Fetch a feature", responses=FeatureSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(_feature(feature_spec(id).key, enabled_features()))


def _feature(key: str, enabled: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec = FEATURES[key]
    shown = {"key": key, "label": spec.label, "description": spec.description}
    return {**shown, "enabled": key in enabled, "config": enabled.get(key)}
