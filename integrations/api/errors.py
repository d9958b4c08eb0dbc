"""What errors of the integrations app are to somebody who uses the API."""

from integrations import errors
from voiceplatform.lib.api.problems import register

register(
    errors.EndpointLimitError,
    status=409,
    code="webhook_endpoint_limit",
    meaning="There are as many webhook endpoints as an account may have. Delete one first.",
)
register(
    errors.EndpointDisabledError,
    status=409,
    code="webhook_endpoint_disabled",
    meaning="Nothing is sent to an endpoint that is disabled. Enable it first.",
)
