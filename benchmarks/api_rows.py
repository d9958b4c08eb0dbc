"""A million calls as they may have gathered: a few large customers, many small ones, a year of days, mostly ended."""

import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call, Recording
from calls.services import place_call
from tenants.models import Tenant, TenantLimits
from tenants.roles import SCOPES
from tenants.scope import tenant_scope
from tenants.services.api_keys import create_key
from tenants.services.tenants import create_tenant

SLUG: Final = "benchmark-api"
TENANTS: Final = 40
AGENTS: Final = 8
DAYS: Final = 365
UNLIMITED: Final = 10_000_000
_ENDS: Final = [
    ("completed", "caller_hung_up"),
    ("completed", "end_call"),
    ("canceled", "canceled_by_user"),
    ("failed", "no_worker"),
]
_FOR_REST: Final = ("in_progress", "queued")


@dataclass(frozen=True, slots=True)
class House:
    """The largest customer, who has four calls of ten, and a key of theirs without limits."""

    tenant: Tenant
    agent: Agent
    secret: str


def seeded(rows: int) -> House:
    """The house, and `rows` calls of all customers, made where they are missing."""
    tenants = [_tenant(number) for number in range(TENANTS)]
    if Call.all_objects.filter(tenant__in=tenants).count() < rows:
        with transaction.atomic():
            _copy_calls(tenants, rows)
            _copy_recordings()
        with connection.cursor() as cursor:
            for model in (Call, Recording):
                cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
    with tenant_scope(tenants[0]):
        key = create_key(name="Benchmark", scopes=tuple(SCOPES))
        type(key.row).objects.filter(pk=key.row.pk).update(requests_per_minute=UNLIMITED)
        return House(tenants[0], Agent.objects.order_by("id")[0], key.secret)


def _tenant(number: int) -> Tenant:
    found = Tenant.objects.filter(slug=f"{SLUG}-{number}").first()
    if found:
        return found
    tenant: Tenant = create_tenant(name=f"Customer {number}", slug=f"{SLUG}-{number}")
    with tenant_scope(tenant):
        TenantLimits.objects.update(api_requests_per_minute=UNLIMITED, max_open_calls=UNLIMITED)
        for _ in range(AGENTS):
            place_call(agent=make_agent(), kind=Call.Kind.SIMULATED)
    return tenant


def _copy_calls(tenants: list[Tenant], rows: int) -> None:
    chance = random.Random(4)
    templates = [list(Call.all_objects.filter(tenant=tenant, metadata={}).values()) for tenant in tenants]
    weights = [40.0, *(6 * 0.9**number for number in range(TENANTS - 1))]
    began, step = datetime.now(UTC) - timedelta(days=DAYS), timedelta(days=DAYS) / rows
    houses = iter(chance.choices(templates, weights, k=rows))
    _copy(Call, (_call(chance, chance.choice(next(houses)), began + number * step) for number in range(rows)))


def _call(chance: random.Random, template: dict[str, Any], at: datetime) -> dict[str, Any]:
    row = template | {"id": uuid7_of(at), "created_at": at, "metadata": {"order": str(chance.randrange(100_000))}}
    kind = chance.choices(("inbound", "simulated", "web"), (80, 15, 5))[0]
    row |= {"kind": kind, "transport": "local" if kind == "simulated" else "livekit", "livemode": kind != "simulated"}
    row["persona"] = "hours_and_message" if kind == "simulated" else ""
    if chance.random() < 0.0005:
        status = chance.choice(_FOR_REST)
        return row | {"status": status, "answered_at": at if status == "in_progress" else None}
    disposition, reason = chance.choices(_ENDS, (60, 30, 8, 2))[0]
    ended = at + timedelta(seconds=chance.randrange(5, 600))
    row |= {"status": "ended", "disposition": disposition, "ended_reason": reason, "answered_at": at, "ended_at": ended}
    return row | {"finalized_at": ended, "cost": "0.120000"}


def _copy_recordings() -> None:
    ended = Call.all_objects.filter(status="ended", kind="inbound", recordings=None).values_list("pk", "tenant_id", "ended_at")
    template = {"state": "stored", "size": 1000, "sha256": "0" * 64, "duration_ms": 60_000}
    rows = (
        {"id": uuid7_of(at), "tenant_id": tenant, "call_id": call, "file": f"{call}.ogg", "stored_at": at, **template}
        for call, tenant, at in list(ended.iterator())
    )
    _copy(Recording, rows)


def _copy(model: Any, rows: Iterator[dict[str, Any]]) -> None:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            values = [row.get(field.attname, field.get_default()) for field in fields]
            copy.write_row([json.dumps(value) if isinstance(value, dict | list) else value for value in values])


def uuid7_of(at: datetime) -> UUID:
    """As made at that moment."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))
