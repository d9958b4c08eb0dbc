"""What the OpenAPI document says beyond what the code shows: scopes, problems, headers."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, Final
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

from tenants.scope import tenant_scope
from voiceplatform.lib.api.fields import StrictSerializer
from voiceplatform.lib.api.problems import MEDIA_TYPE

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; program against this."},
        "detail": {"type": "string", "description": "What went wrong, for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["param", "code", "detail"],
                "properties": {
                    "param": {"type": ["string", "null"], "description": "The field at fault, with dots for inner ones."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string", "description": "Tell support this."},
    },
}
_EVERYWHERE: Final = {
    "401": "No usable API key",
    "403": "The key may not do this",
    "429": "Too many requests",
}
_STATUSES: Final = {
    "400": "The request does not fit",
    "404": "There is no such thing",
    "406": "JSON only",
    "409": "Not possible as things are",
    "412": "Changed since you read it",
    "413": "The body is too large",
    "415": "JSON only",
    "422": "The Idempotency-Key was used for another request",
    "503": "Not possible at the moment",
}


_CLOCK_TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$"
_NOBODY: Final = UUID(int=0)
_STANDARD_ACTIONS: Final = frozenset({"list", "create", "retrieve", "update", "partial_update", "destroy"})
_SUMMARIES: Final = {"list": "List {}", "retrieve": "Fetch one of the {}"}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "tenants.api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: vp_live_… or vp_test_…."}


class PublicIdSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "voiceplatform.lib.api.fields.PublicIdField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return _public_id(self.target.prefix)


class ClockTimeSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """What OpenAPI calls a time has an offset; ours are by the clock of wherever somebody is."""

    target_class = "rest_framework.serializers.TimeField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"type": "string", "pattern": _CLOCK_TIME, "example": "09:00"}


def _public_id(prefix: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{prefix}_[0-9a-z]{{26}}$"}


class Operations(AutoSchema):
    """Adds to each operation the scope it needs, and the header that makes a POST repeatable."""

    def get_summary(self) -> str | None:
        given: str | None = super().get_summary()
        pattern = _SUMMARIES.get(getattr(self.view, "action", ""))
        return given or (pattern.format(self.get_tags()[0].replace("_", " ")) if pattern else None)

    def get_description(self) -> str:  # type: ignore[override]
        told = self._handler().__doc__ or type(self.view).__dict__.get("__doc__") or ""
        scope = self._scope()
        needs = f"Needs the scope `{scope}`." if scope else ""
        return "\n\n".join(part for part in (cleandoc(told), needs) if part)

    def get_operation_id(self) -> str:
        """A name for a method of a client: `calls_list`, `calls_hang_up`."""
        action = getattr(self.view, "action", "")
        if action in _STANDARD_ACTIONS:
            return super().get_operation_id()
        words = [part for part in self.path.removeprefix("/api/v1/").split("/") if not part.startswith("{")]
        return "_".join([*words[:-1], action])

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        # Querysets are looked at for their model only; nothing is read.
        with tenant_scope(_NOBODY):
            operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        if scope := self._scope():
            operation["x-scope"] = scope
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["schema"] = self._path_schema(parameter["name"])
        if getattr(self._handler(), "idempotent", False):
            operation.setdefault("parameters", []).append(
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "description": "Any text of your own: the same request with the same key has one effect and one answer.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
                }
            )
        return operation

    def _path_schema(self, parameter: str) -> dict[str, Any]:
        prefix = getattr(self.view, "prefix", "")
        return _public_id(prefix) if parameter == "id" and prefix else {"type": "string"}

    def _handler(self) -> Any:
        return getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)

    def _scope(self) -> str:
        scopes = getattr(self.view, "scopes", {})
        return str(scopes.get(getattr(self.view, "action", ""), ""))


def describe_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every refusal any operation may give, in one shape; and no words about how our serializers work."""
    schemas = result["components"].setdefault("schemas", {})
    for schema in schemas.values():
        if schema.get("description") == cleandoc(StrictSerializer.__doc__ or ""):
            del schema["description"]
    schemas["Problem"] = _PROBLEM
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for status, description in _statuses(path, method, operation).items():
                content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                operation["responses"].setdefault(status, {"description": description, "content": content})
    return result


def link_ids(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What is created is what the addresses below its own are about."""
    for path, operations in result["paths"].items():
        created = operations.get("post", {}).get("responses", {}).get("201")
        if created and (links := dict(_links(path, result["paths"]))):
            created["links"] = links
    return result


def _links(path: str, paths: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for below, operations in paths.items():
        parameter = re.match(rf"{re.escape(path)}/{{(\w+)}}", below)
        # Another part of the address would stay unknown.
        if parameter is None or below.count("{") > 1:
            continue
        for operation in operations.values():
            name = operation["operationId"]
            yield name, {"operationId": name, "parameters": {parameter[1]: "$response.body#/id"}}


def _statuses(path: str, method: str, operation: dict[str, Any]) -> dict[str, str]:
    wanted = {**_EVERYWHERE, **{status: _STATUSES[status] for status in ("400", "406")}}
    if "{" in path:
        wanted["404"] = _STATUSES["404"]
    if method in ("post", "patch", "put", "delete"):
        wanted |= {status: _STATUSES[status] for status in ("409", "413", "415")}
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", [])):
        wanted |= {"422": _STATUSES["422"], "503": _STATUSES["503"]}
    if "x-asks" in operation:
        wanted |= {"409": _STATUSES["409"], "503": _STATUSES["503"]}
    if method in ("patch", "put"):
        wanted["412"] = _STATUSES["412"]
    return wanted
