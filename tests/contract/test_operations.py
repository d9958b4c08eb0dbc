"""Every operation does what the OpenAPI document says, whatever is sent: asked by its owner, on rows it has."""

import json
from collections import Counter, defaultdict
from contextlib import suppress
from threading import BoundedSemaphore

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from calls.api import chats
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
EXAMPLES, WALKS, STEPS = 20, 60, 15
LINKED = 4
GENERATION = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],
}


def load():
    document = SchemaGenerator().get_schema(request=None, public=True)
    return schemathesis.openapi.from_dict(json.loads(json.dumps(document, default=str)))


@pytest.fixture(scope="module")
def schema():
    loaded = load()
    loaded.app = get_wsgi_application()
    loaded.config.generation.update(modes=[GenerationMode.POSITIVE])
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
    monkeypatch.setattr(chats, "_WAITING", BoundedSemaphore(1))
    chats._WAITING.acquire()
    forget_keys()
    secret = make_key(tenant).secret
    ApiKey.all_objects.update(requests_per_minute=1_000_000)
    yield {"Authorization": f"Bearer {secret}"}
    forget_keys()


def undone(case, headers):
    """The answer to a request, checked, and its effect taken back."""
    with transaction.atomic():
        response = case.call_and_validate(headers=headers, checks=CHECKS)
        transaction.set_rollback(True)
    return response


@pytest.mark.parametrize(("method", "template"), [pytest.param(*key, id=" ".join(key)) for key in ROWS])
def test_an_operation_answers_as_documented(method, template, schema, headers, tenant, answers):
    """First what its owner asks for, then whatever fits the document, and what does not."""
    operation = schema[f"/api/v1/{template}"][method]
    with tenant_scope(tenant):
        parts, body = ROWS[method, template].owned()
    sent = {} if method == "GET" else {"body": body or {}, "media_type": "application/json"}
    owners = undone(operation.Case(path_parameters=dict(parts), **sent), headers)
    answers[method, template][owners.status_code] += 1
    assert 200 <= owners.status_code < 300
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        with suppress(Unsatisfiable):
            cases = operation.as_strategy(mode, path_parameters=dict(parts) or None)
            ask_all(cases, headers, answers[method, template])


def ask_all(cases, headers, answers):
    @settings(**GENERATION, max_examples=EXAMPLES)
    @given(case=cases)
    def ask(case):
        answers[undone(case, headers).status_code] += 1

    ask()


def test_what_is_created_can_be_used_by_its_id(schema, headers, answers):
    """Walks along the links of the document: each walk begins with nothing."""

    class Walk(schema.as_state_machine()):
        def setup(self):
            self.effects = transaction.atomic()
            self.effects.__enter__()

        def teardown(self):
            transaction.set_rollback(True)
            self.effects.__exit__(None, None, None)

        def get_call_kwargs(self, case):
            return {"headers": headers}

        def validate_response(self, response, case, **_):
            case.validate_response(response, checks=CHECKS, headers=headers)
            linked[case.operation.label] += 200 <= response.status_code < 300

    linked = Counter()
    run_state_machine_as_test(Walk, settings=settings(**GENERATION, max_examples=WALKS, stateful_step_count=STEPS))
    reached = [label for label, count in linked.items() if count and "{" in label]
    assert len(reached) >= LINKED, reached
