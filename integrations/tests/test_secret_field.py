"""A stored secret can be read on its own row alone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.forms import modelform_factory

from integrations.models import WebhookEndpoint
from integrations.services.endpoints import NewSecret, rotate_secret
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voiceplatform.lib.secrets import MisplacedSecretError, Secret, WrongKeyError

Make = Callable[..., NewSecret]


def stored(endpoint: WebhookEndpoint) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM integrations_webhookendpoint WHERE id = %s", [endpoint.pk])
        (token,) = cursor.fetchone()
    return str(token)


MOVES = {
    "secret": "UPDATE integrations_webhookendpoint SET secret = %s WHERE id = %s",
    "previous_secret": "UPDATE integrations_webhookendpoint SET previous_secret_until = now(), previous_secret = %s"
    " WHERE id = %s",
}


def store(endpoint: WebhookEndpoint, column: str, token: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MOVES[column], [token, endpoint.pk])


def test_a_secret_is_stored_encrypted_and_read_on_its_row(scope: Tenant, make_endpoint: Make) -> None:
    made = make_endpoint()
    row = WebhookEndpoint.objects.get()
    assert made.secret.startswith("whsec_")
    assert made.secret not in stored(row)
    assert row.secret.reveal() == made.secret
    assert row.previous_secret is None
    assert made.secret not in f"{row.secret} {row.secret!r} {vars(row)}"


def test_saving_other_columns_leaves_it_as_it_is(scope: Tenant, make_endpoint: Make) -> None:
    made = make_endpoint()
    row = WebhookEndpoint.objects.get()
    row.description = "changed"
    row.full_clean()
    row.save()
    row.refresh_from_db()
    assert row.secret.reveal() == made.secret
    assert WebhookEndpoint.objects.defer("secret").get().secret.reveal() == made.secret


def test_a_secret_moved_to_another_row_field_or_tenant_is_refused(
    tenant: Tenant, other_tenant: Tenant, make_endpoint: Make
) -> None:
    mine, sibling, theirs = make_endpoint().row, make_endpoint().row, make_endpoint(owner=other_tenant).row
    for target, column in ((sibling, "secret"), (mine, "previous_secret"), (theirs, "secret")):
        store(target, column, stored(mine))
        with tenant_scope(target.tenant_id):
            row = WebhookEndpoint.objects.get(pk=target.pk)
            with pytest.raises(MisplacedSecretError):
                getattr(row, column).reveal()
    with tenant_scope(tenant):
        assert WebhookEndpoint.objects.get(pk=mine.pk).secret.reveal().startswith("whsec_")


def test_a_secret_handed_from_row_to_row_is_encrypted_anew(scope: Tenant, make_endpoint: Make) -> None:
    made, other = make_endpoint(), make_endpoint().row
    other.secret = WebhookEndpoint.objects.get(pk=made.row.pk).secret
    other.save(update_fields=["secret"])
    assert WebhookEndpoint.objects.get(pk=other.pk).secret.reveal() == made.secret
    assert stored(other) != stored(made.row)


def test_only_saving_a_row_writes_it_and_nothing_finds_by_it(scope: Tenant, make_endpoint: Make) -> None:
    made = make_endpoint()
    for attempt in (
        lambda: WebhookEndpoint.objects.update(secret="plain"),
        lambda: WebhookEndpoint.objects.update(secret=Secret("plain")),
        lambda: WebhookEndpoint.objects.filter(secret=made.secret).exists(),
        lambda: WebhookEndpoint.objects.bulk_update([made.row], ["secret"]),
    ):
        with pytest.raises(TypeError, match="encrypted for its row"), transaction.atomic():
            attempt()
    assert WebhookEndpoint.objects.get().secret.reveal() == made.secret
    assert WebhookEndpoint.objects.filter(previous_secret__isnull=True).exists()


def test_forms_do_not_have_it() -> None:
    names = [field.name for field in WebhookEndpoint._meta.fields if not isinstance(field, models.ForeignKey) and field.editable]
    form = modelform_factory(WebhookEndpoint, fields=names)
    assert not {"secret", "previous_secret"} & set(form.base_fields)


def test_keys_can_be_changed(scope: Tenant, make_endpoint: Make, settings: Any) -> None:
    made = make_endpoint()
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], "bmV3IGtleSBmb3IgdGhlIHRlc3RzLCAzMiBieXRlcyE"
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    second = rotate_secret(endpoint=made.row).secret
    settings.FIELD_ENCRYPTION_KEYS = [new]
    row = WebhookEndpoint.objects.get()
    assert (row.secret.reveal(), row.previous_secret.reveal()) == (second, made.secret)
    settings.FIELD_ENCRYPTION_KEYS = [old]
    with pytest.raises(WrongKeyError):
        row.secret.reveal()
