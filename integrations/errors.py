"""Errors of the integrations app."""


class IntegrationsError(Exception):
    """Base of everything this app raises on purpose."""


class EndpointLimitError(IntegrationsError):
    """The tenant has as many webhook endpoints as it may have."""


class EndpointDisabledError(IntegrationsError):
    """Nothing is sent to an endpoint that is disabled."""
