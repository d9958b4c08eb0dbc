"""The OpenAPI document says what the API does."""

from pathlib import Path

import pytest
import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from voiceplatform.lib.api.problems import CODES

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def schema():
    return yaml.safe_load(OpenApiYamlRenderer().render(SchemaGenerator().get_schema(request=None, public=True)))


def operations(schema):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_committed_document_is_current(schema):
    assert yaml.safe_load(COMMITTED.read_text()) == schema, "run: make schema"


def test_every_operation_says_what_it_is_and_needs(schema):
    found = operations(schema)
    assert len(found) >= 6
    for name, operation in found:
        assert operation.get("summary"), name
        assert operation.get("x-scope") or name == "GET /api/v1/me", name
        assert {"400", "401", "403", "406", "429"} <= set(operation["responses"]), name


def test_operation_ids_are_unique(schema):
    ids = [operation["operationId"] for _, operation in operations(schema)]
    assert len(ids) == len(set(ids))


def test_the_page_of_problems_explains_every_code(client, db):
    page = client.get("/api/docs/problems").content.decode()
    assert all(f'id="{code}"' in page for code in CODES)


def test_the_page_of_operations_opens(client, db):
    assert client.get("/api/docs").status_code == 200
    assert client.get("/api/schema").status_code == 200
