"""Errors of the tenants app."""


class TenantsError(Exception):
    """Base of everything this app raises on purpose."""


class NoTenantScopeError(TenantsError):
    """A tenant's rows were asked for while no tenant, or another one, was in scope."""


class TenantNotActiveError(TenantsError):
    """The tenant is suspended or closing: no new work begins."""


class InvalidKeyError(TenantsError):
    """The API key is malformed, unknown, revoked, expired, or used from a network it is not meant for."""


class ForbiddenScopeError(TenantsError):
    """A key was to get scopes that do not exist, or that its maker does not have."""


class NotAnAgencyKeyError(TenantsError):
    """The key may not act for that tenant, or there is no such tenant; the two are not told apart."""


class UnknownTopicError(TenantsError):
    """News was published, or listened to, that `tenants/topics.py` does not name."""


class NotInTransactionError(TenantsError):
    """News was published outside the transaction of the change it tells of."""


class LeaseLostError(TenantsError):
    """Another process took the delivery or the job over; what this one wrote is rolled back."""


class UnknownJobError(TenantsError):
    """A job was asked for, or is to be done, of a kind that `tenants/jobs.py` does not name."""


class JobFailedError(TenantsError):
    """The job can never go on; the text says why, to those who asked for it."""


class JobFinishedError(TenantsError):
    """The job has come to its end already."""


class UnknownFeatureError(TenantsError):
    """The registry of features does not know the key."""


class InvalidFeatureConfigError(TenantsError):
    """The configuration of a feature does not fit its schema; `errors` says which field and why."""

    def __init__(self, key: str, errors: dict[str, str]) -> None:
        self.key = key
        self.errors = errors
        super().__init__(f"{key}: " + "; ".join(f"{field}: {message}" for field, message in errors.items()))


class InvalidAuditDataError(TenantsError):
    """An audit event would hold something other than ids, field names and states."""
