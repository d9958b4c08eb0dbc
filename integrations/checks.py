"""System checks: notices reach somebody."""

from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

_NOWHERE: Final = ("filebased", "console", "locmem", "dummy")


@register(deploy=True)
def check_mail(**_kwargs: Any) -> list[CheckMessage]:
    """A disabled webhook endpoint is told by e-mail."""
    problems: list[CheckMessage] = []
    if any(f".{name}." in settings.EMAIL_BACKEND for name in _NOWHERE):
        hint = "Set EMAIL_URL and EMAIL_FROM."
        problems.append(Warning("Mails are written to files and reach nobody.", hint=hint, id="integrations.W001"))
    if not settings.VP_OPERATOR_EMAILS:
        text = "Nobody is told of failing webhooks where a tenant has no member with an address."
        problems.append(Warning(text, hint="Set VP_OPERATOR_EMAILS.", id="integrations.W002"))
    return problems
