"""What errors of the tenants app are to somebody who uses the API."""

from tenants import errors
from voiceplatform.lib.api.problems import register

register(
    errors.TenantNotActiveError,
    status=403,
    code="tenant_not_active",
    meaning="The account is suspended or closing: nothing new is begun; what there is can be read.",
)
register(
    errors.ForbiddenScopeError,
    status=400,
    code="invalid_scopes",
    meaning="A key can only give scopes that exist and that it has itself.",
    params=lambda error: {"scopes": str(error)},
)
register(
    errors.JobFinishedError, status=409, code="job_finished", meaning="The job has come to its end; there is nothing to cancel."
)
register(errors.UnknownFeatureError, status=404, code="not_found", meaning="There is no such thing, or it is not yours.")
