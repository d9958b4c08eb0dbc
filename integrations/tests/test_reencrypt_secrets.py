"""Changing the keys: everything stored comes under the newest one, and what no key opens is named."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection

from integrations.models import WebhookEndpoint
from integrations.services.endpoints import NewSecret, rotate_secret
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services import secrets
from tenants.services.secrets import reencrypt

Make = Callable[..., NewSecret]
NEW, UNKNOWN = "bmV3IGtleSBmb3IgdGhlIHRlc3RzLCAzMiBieXRlcyE", "YW5vdGhlciBrZXkgZm9yIHRoZSB0ZXN0cywgMzJieXQ"


@pytest.fixture
def stored(tenant: Tenant, other_tenant: Tenant, make_endpoint: Make) -> dict[Any, str]:
    """Three endpoints of two tenants, one with a previous secret."""
    made = [make_endpoint(), make_endpoint(owner=other_tenant), make_endpoint()]
    with tenant_scope(tenant):
        last = rotate_secret(endpoint=made[2].row)
    return {made[0].row.pk: made[0].secret, made[1].row.pk: made[1].secret, last.row.pk: last.secret}


def revealed() -> dict[Any, str]:
    return {row.pk: row.secret.reveal() for row in WebhookEndpoint.all_objects.all()}


def run(*options: str) -> str:
    out = StringIO()
    call_command("reencrypt_secrets", *options, stdout=out)
    return out.getvalue()


def test_every_secret_comes_under_the_newest_key(stored: dict[Any, str], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_BATCH", 2)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    with pytest.raises(CommandError, match="4 secrets need an older key"):
        run("--check")
    told = run()
    assert "WebhookEndpoint.secret: 0 current, 3 encrypted anew, 0 lost" in told
    assert "WebhookEndpoint.previous_secret: 0 current, 1 encrypted anew, 0 lost" in told
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert revealed() == stored
    assert "secret: 3 current, 0" in run() + run("--check")


def test_it_goes_on_where_it_was_stopped(stored: dict[Any, str], settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    next(reencrypt())
    found = [(counts.current, counts.changed) for counts in reencrypt()]
    assert [pair for pair in found if pair != (0, 0)] == [(3, 0), (0, 1)]


def test_a_secret_that_is_changed_meanwhile_stays(
    stored: dict[Any, str], tenant: Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    row, reseal = WebhookEndpoint.all_objects.filter(tenant=tenant).first(), secrets.reseal

    def meanwhile(token: str) -> str:
        with tenant_scope(tenant):
            fresh[row.pk] = rotate_secret(endpoint=row).secret
        return reseal(token)

    fresh = dict(stored)
    monkeypatch.setattr(secrets, "reseal", meanwhile)
    next(reencrypt())
    assert revealed() == fresh


def test_what_no_key_opens_is_counted_and_left(stored: dict[Any, str], settings: Any) -> None:
    old = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [UNKNOWN]
    for options in ((), ("--check",)):
        with pytest.raises(CommandError, match="4 secrets open with none"):
            run(*options)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_webhookendpoint SET previous_secret = 'damaged' WHERE previous_secret IS NOT NULL")
    settings.FIELD_ENCRYPTION_KEYS = old
    with pytest.raises(CommandError, match="1 secrets open with none"):
        run()
    assert revealed() == stored


@pytest.mark.parametrize(
    ("keys", "always", "deploy"), [([], 0, 1), (["no key"], 1, 1), ([NEW, "c2hvcnQ"], 1, 1), ([NEW, UNKNOWN], 0, 0)]
)
def test_checks_find_keys_that_are_missing_or_none(settings: Any, keys: list[str], always: int, deploy: int) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys

    def found(**options: bool) -> int:
        return sum(problem.id == "tenants.E005" for problem in run_checks(tags=["security"], **options))

    assert (found(), found(include_deployment_checks=True)) == (always, deploy)


def test_a_deployment_without_mail_is_told(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    ids = {problem.id for problem in run_checks(include_deployment_checks=True)}
    assert {"integrations.W001", "integrations.W002"} <= ids
    settings.EMAIL_BACKEND, settings.VP_OPERATOR_EMAILS = "django.core.mail.backends.smtp.EmailBackend", ["ops@example.com"]
    assert not {"integrations.W001", "integrations.W002"} & {p.id for p in run_checks(include_deployment_checks=True)}
