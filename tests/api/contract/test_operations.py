"""Every operation does what the OpenAPI document says, whatever is sent: asked by its owner, on rows it has."""

import json
from collections import Counter, defaultdict
from contextlib import suppress

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from calls.api import chats, records
from calls.api.waiting import Waiting
from tenants.models import ApiKey, TenantLimits
from tenants.scope import tenant_scope
from tenants.services.api_keys import forget_keys
from tests.api.matrix import ROWS

pytestmark = pytest.mark.contract
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 20
LINKED = 20
# What a new agent or account has not: a published version, a trunk.
NEED_MORE = {"agents_diff", "carrier_accounts_buy_number"}
GENERATION = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],
}


@pytest.fixture(scope="module")
def schema():
    document = SchemaGenerator().get_schema(request=None, public=True)
    loaded = schemathesis.openapi.from_dict(json.loads(json.dumps(document, default=str)))
    loaded.app = get_wsgi_application()
    return loaded


@pytest.fixture(scope="module")
def answers(request):
    """How often each operation gave which answer; told at the end."""
    seen = defaultdict(Counter)
    yield seen
    report = request.config.pluginmanager.get_plugin("terminalreporter")
    report.write_line("")
    for (method, template), statuses in seen.items():
        counted = ", ".join(f"{status} x{count}" for status, count in sorted(statuses.items()))
        report.write_line(f"{method:6} {template:45} {counted}")


@pytest.fixture(autouse=True)
def _connection_of_the_test():
    """A request's end closes its connection, which here is the test's: as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(make_key, tenant, monkeypatch):
    """Of a key that may do everything, as often as it likes, and is answered at once also by an agent that nobody runs."""
    TenantLimits.all_objects.filter(tenant=tenant).update(api_requests_per_minute=1_000_000)
    for module in (chats, records):
        monkeypatch.setattr(module, "WAITING", Waiting(places=0))
    forget_keys()
    secret = make_key(tenant, livemode=True).secret
    ApiKey.all_objects.update(requests_per_minute=1_000_000)
    yield {"Authorization": f"Bearer {secret}"}
    forget_keys()


def undone(case, headers):
    """The answer to a request, checked, and its effect taken back."""
    with transaction.atomic():
        response = case.call_and_validate(headers=headers, checks=CHECKS)
        transaction.set_rollback(True)
    return response


def asked(schema, method, template, tenant):
    """What the owner asks for in the operation's row."""
    with tenant_scope(tenant):
        parts, body = ROWS[method, template].owned()
    sent = {} if method == "GET" else {"body": body or {}, "media_type": "application/json"}
    if isinstance(body, bytes):
        sent = {"body": {"file": body}, "media_type": "multipart/form-data"}
    return schema[f"/api/v1/{template}"][method].Case(path_parameters=dict(parts), **sent)


@pytest.mark.parametrize(("method", "template"), [pytest.param(*key, id=" ".join(key)) for key in ROWS])
def test_an_operation_answers_as_documented(method, template, schema, headers, tenant, answers):
    """First what its owner asks for, then whatever fits the document, and what does not."""
    owners = asked(schema, method, template, tenant)
    status = undone(owners, headers).status_code
    answers[method, template][status] += 1
    assert 200 <= status < 300
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        with suppress(Unsatisfiable):
            cases = owners.operation.as_strategy(mode, path_parameters=owners.path_parameters or None)
            ask_all(cases, headers, answers[method, template])


def ask_all(cases, headers, answers):
    @settings(**GENERATION, max_examples=EXAMPLES)
    @given(case=cases)
    def ask(case):
        answers[undone(case, headers).status_code] += 1

    ask()


CREATING = [key for key in ROWS if key[0] == "POST" and "{" not in key[1]]


def test_what_is_created_is_found_by_the_links_of_the_document(schema, headers, tenant, answers):
    followed, refused = Counter(), Counter()
    for method, template in CREATING:
        cases = [linked(schema, link, tenant) for link in links_of(schema, template)]
        with transaction.atomic():
            made = asked(schema, method, template, tenant).call_and_validate(headers=headers, checks=CHECKS)
            for case, parameter in cases:
                case.path_parameters[parameter] = made.json()["id"]
                status, name = undone(case, headers).status_code, case.operation.definition.raw["operationId"]
                answers[case.method, case.operation.path.removeprefix("/api/v1/")][status] += 1
                assert status != 404, name
                refused[name] += status == 400
                followed[template] += status < 300
            transaction.set_rollback(True)
    assert {name for name, count in refused.items() if count} == NEED_MORE
    assert followed.total() >= LINKED, followed


def links_of(schema, template):
    responses = schema.raw_schema["paths"][f"/api/v1/{template}"]["post"]["responses"]
    return responses.get("201", {}).get("links", {}).values()


def linked(schema, link, tenant):
    """What the linked operation's own row asks for, and the parameter that is to be the new id."""
    operation = schema.find_operation_by_id(link["operationId"])
    ((parameter, expression),) = link["parameters"].items()
    assert expression == "$response.body#/id"
    with transaction.atomic():
        case = asked(schema, operation.method.upper(), operation.path.removeprefix("/api/v1/"), tenant)
        # The row's own rows would be in the way of the new one.
        transaction.set_rollback(True)
    return case, parameter
