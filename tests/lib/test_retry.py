"""A step is done again when its connection was lost, and only then."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from tenants.models import Tenant
from voiceplatform.lib import retry
from voiceplatform.lib.retry import retry_on_lost_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE_S", 0.0)


def lose_connection() -> None:
    """As when the server restarts: the backend goes, the next statement finds out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def step(tenant: Tenant) -> Callable[..., Callable[[], int]]:
    def make(*, losses: int) -> Callable[[], int]:
        left = [losses]

        @retry_on_lost_connection
        def count_tenants() -> int:
            if left[0]:
                left[0] -= 1
                lose_connection()
            return Tenant.objects.count()

        return count_tenants

    return make


@pytest.mark.parametrize("losses", [0, 1, 2])
def test_a_lost_connection_is_forgiven_twice(step: Callable[..., Callable[[], int]], losses: int) -> None:
    assert step(losses=losses)() == 1


def test_not_for_ever(step: Callable[..., Callable[[], int]]) -> None:
    with pytest.raises(OperationalError):
        step(losses=3)()
    connection.close()


def test_inside_a_transaction_nothing_is_tried_again(tenant: Tenant) -> None:
    tries = []

    @retry_on_lost_connection
    def lose() -> None:
        tries.append(1)
        lose_connection()

    with pytest.raises(DatabaseError), transaction.atomic():
        lose()
    connection.close()
    assert (len(tries), Tenant.objects.count()) == (1, 1)


@pytest.mark.parametrize("error", [OperationalError("deadlock detected"), IntegrityError("twice"), ValueError("no")])
def test_other_errors_pass_at_once(tenant: Tenant, error: Exception) -> None:
    tries = []

    @retry_on_lost_connection
    def fail() -> None:
        tries.append(Tenant.objects.count())
        raise error

    with pytest.raises(type(error)):
        fail()
    assert len(tries) == 1
