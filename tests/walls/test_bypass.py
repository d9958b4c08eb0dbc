"""Who may look past a tenant's scope, or send to the broker: lists that only grow by decision."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
APPS = ["voiceplatform", "tenants", "agents", "calls", "campaigns", "knowledge", "integrations", "analytics", "voice_worker"]

# Migrations and tests aside. Resolvers find the tenant of an id; sweeps look for work and enter each row's scope.
ALLOWED: dict[str, dict[str, str]] = {
    "all_objects": {
        "calls/resolving.py": "finds the tenant of a call",
        "calls/services/carrier_numbers.py": "what routes is not bought again; customers' numbers come by their agency's account",
        "calls/services/commands.py": "finds commands of every tenant that nobody took",
        "calls/services/dialing.py": "a call may go out by a trunk of the agency",
        "calls/services/capacity.py": "counts the calls of every tenant that hosts hold",
        "calls/services/dispatching.py": "gives out waiting calls of every tenant, enters the scope of each",
        "calls/services/gates.py": "an agency's suppressions hold for its customers too",
        "calls/services/inbound.py": "finds the tenant of a number",
        "calls/services/lines.py": "counts the lines of every tenant that shares a trunk",
        "calls/services/local_queue.py": "a host takes the oldest waiting calls, whose ever they are",
        "calls/services/moving.py": "finds recordings of every tenant to move, enters the scope of each",
        "calls/services/sweeps.py": "finds calls of every tenant that need an end, enters the scope of each",
        "calls/services/trimming.py": "finds recordings of every tenant whose copy waits, wakes a task in its scope",
        "calls/services/trunks.py": "an agency's trunk is granted to its customers",
        "calls/telephony/egress.py": "finds recordings of every tenant that LiveKit makes, enters the scope of each",
        "calls/telephony/events.py": "finds the call, of whatever tenant, in whose room something happened",
        "calls/telephony/mirroring.py": "finds trunks and numbers of every tenant, enters the scope of each",
        "calls/telephony/rooms.py": "finds calls of every tenant by their rooms, enters the scope of each",
        "calls/telephony/standing.py": "compares trunks and numbers of every tenant with the LiveKit server",
        "integrations/services/deliveries.py": "forgets old webhook deliveries of every tenant",
        "integrations/services/sweeps.py": "finds endpoints of every tenant with something to send, wakes a task in its scope",
        "tenants/models/base.py": "declares it",
        "tenants/services/api_keys.py": "finds the tenant of an API key",
        "tenants/services/jobs.py": "finds open jobs of every tenant, wakes a task in its scope; forgets old refused rows",
        "tenants/services/secrets.py": "encrypts the secrets of every tenant anew",
        "tenants/services/requests.py": "forgets old requests of every tenant",
        "tenants/services/delivery.py": "takes due deliveries of every tenant, runs each in its scope",
    },
    "all_tenants": {
        "tenants/scope.py": "declares it",
        "voiceplatform/middleware.py": "staff pages that show every tenant",
    },
    "_base_manager": {
        "tenants/models/keys.py": "looks for the row a foreign key names, within the referring row's tenant",
    },
    "send_task": {
        "voiceplatform/lib/broker.py": "the only sender of Celery messages",
    },
    "apply_async": {},
    "_raw_delete": {
        "tenants/models/query.py": "checks the scope first",
    },
    "connection.cursor": {
        "calls/clock.py": "asks the database for the time",
        "calls/services/pacing.py": "takes a trunk's turn in one statement, on the database's clock",
        "calls/telephony/mirroring.py": "takes a lock, so that one reconciler runs",
        "tenants/api/idempotency.py": "takes a lock that is named after the tenant in scope",
        "tenants/outbox.py": "counts an object's events, with the tenant in scope",
        "tenants/services/requests.py": "a line of the log does not wait for the disk",
        "voiceplatform/doctor.py": "asks for the server's version",
    },
}


def names(node: ast.AST) -> set[str | None]:
    """What a node may be called in the lists above; strings count, as in getattr(model, "all_objects")."""
    found = {getattr(node, key, None) for key in ("attr", "id", "name")}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found.add(f"{node.value.id}.{node.attr}")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found.add(node.value)
    return found


def uses(name: str) -> set[str]:
    sources = [path for app in APPS for path in (PROJECT / app).rglob("*.py") if not {"migrations", "tests"} & set(path.parts)]
    return {
        str(p.relative_to(PROJECT)) for p in sources if any(name in names(node) for node in ast.walk(ast.parse(p.read_text())))
    }


@pytest.mark.parametrize("name", ALLOWED)
def test_what_needs_care_is_used_only_where_it_is_listed(name: str) -> None:
    assert uses(name) == set(ALLOWED[name])
