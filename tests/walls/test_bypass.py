"""Who may look past a tenant's scope: a list that only grows by decision."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
APPS = ["voiceplatform", "tenants", "agents", "calls", "campaigns", "knowledge", "integrations", "analytics", "voice_worker"]

# Migrations aside. Resolvers find the tenant of an id; sweeps look for work and enter each row's scope.
ALLOWED = {
    "all_objects": {
        "calls/resolving.py": "finds the tenant of a call, and the calls that sweeps go through",
        "tenants/models/base.py": "declares it",
        "tenants/services/delivery.py": "takes due deliveries of every tenant, runs each in its scope",
    },
    "all_tenants": {
        "tenants/scope.py": "declares it",
        "voiceplatform/middleware.py": "staff pages that show every tenant",
    },
    "_base_manager": {
        "tenants/models/keys.py": "looks for the row a foreign key names, within the referring row's tenant",
    },
    "_raw_delete": {
        "tenants/models/query.py": "checks the scope first",
    },
    "cursor": {
        "tenants/outbox.py": "counts an object's events, with the tenant in scope",
        "voiceplatform/doctor.py": "asks for the server's version",
    },
}


def uses(name: str) -> set[str]:
    found = set()
    for path in (p for app in APPS for p in (PROJECT / app).rglob("*.py")):
        where = path.relative_to(PROJECT)
        if "migrations" in where.parts or "tests" in where.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None)
            # `base_manager_name = "all_objects"` and getattr(model, "all_objects") count as well.
            if name in named or (isinstance(node, ast.Constant) and node.value == name):
                found.add(str(where))
    return found


@pytest.mark.parametrize("name", ALLOWED)
def test_the_bypass_is_used_only_where_it_is_listed(name: str) -> None:
    assert uses(name) == set(ALLOWED[name])
