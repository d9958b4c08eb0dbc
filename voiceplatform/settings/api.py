"""How the customer API reads requests and describes itself."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.api.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.api.authentication.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["voiceplatform.lib.api.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "voiceplatform.lib.api.pages.IdPages",
    "DEFAULT_FILTER_BACKENDS": ["voiceplatform.lib.api.filters.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "voiceplatform.api.schema.Operations",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

DRF_STANDARDIZED_ERRORS: dict[str, Any] = {
    "EXCEPTION_HANDLER_CLASS": "voiceplatform.lib.api.handling.ProblemHandler",
    "EXCEPTION_FORMATTER_CLASS": "voiceplatform.lib.api.handling.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Voice platform API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_NO_READ_ONLY_REQUIRED": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "ActionStateEnum": "calls.models.CallCommand.State",
        "ActionTypeEnum": "calls.api.actions.TYPES",
        "CallKindEnum": "calls.models.Call.Kind",
        "CallStatusEnum": "calls.models.Call.Status",
        "ConsentKindEnum": "calls.models.Consent.Kind",
        "EndpointStatusEnum": "integrations.models.WebhookEndpoint.Status",
        "JobStateEnum": "tenants.models.Job.State",
        "RecordingStateEnum": "calls.models.Recording.State",
        "StreamTypeEnum": "calls.api.stream.TYPES",
        "VersionStateEnum": "agents.models.AgentVersion.State",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "voiceplatform.api.schema.describe_problems",
        "voiceplatform.api.schema.link_ids",
    ],
}
