"""Where a tenant filter, a scope or a check of a key can be taken out of the source, one at a time."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from django.apps import apps

from tenants.models import TenantModel

PROJECT: Final = Path(__file__).resolve().parents[2]
NARROWED: Final = ("*/api/*.py", "*/selectors.py", "*/admin/*.py", "tenants/services/api_keys.py", "calls/services/gates.py")
ROWS: Final = ("*/api/*.py", "*/selectors.py", "calls/services/gates.py", "calls/services/recording_links.py")
GUARDED: Final = (
    "tenants/api/authentication.py",
    "tenants/api/idempotency.py",
    "tenants/api/resources.py",
    "tenants/api/throttling.py",
    "tenants/scope.py",
    "tenants/services/api_keys.py",
    "calls/services/recording_links.py",
    "voiceplatform/api/middleware.py",
)
_UNSCOPED: Final = "{0}.objects._queryset_class({0}, query=__import__('django').db.models.sql.Query({0}))"
_MAKES: Final = {"create", "bulk_create"}
_OWNERS: Final = {"tenant", "tenant_id", "agency_id"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`source[start:end]`, in bytes, gives way to `after`."""

    path: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line} {self.kind}: {' '.join(self.before.split())[:60]}"

    def applied_to(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


# What no pattern finds: path, what it is, before, after.
BY_HAND: Final = (
    ("tenants/models/query.py", "manager filter", "query.add_q(Q(tenant_id=scope))", "pass"),
    ("tenants/models/base.py", "owner of a saved row", "        adopt(self)\n", "        pass\n"),
    ("tenants/models/base.py", "owner of a deleted row", "        check_owner(self)\n", "        pass\n"),
    ("tenants/models/base.py", "owner of an updated row", "base_qs.filter(tenant_id=self.tenant_id)", "base_qs"),
    ("voiceplatform/settings/api.py", "authentication", '["tenants.api.authentication.KeyAuthentication"]', "[]"),
    ("voiceplatform/settings/api.py", "permission", '["tenants.api.authentication.HasScope"]', "[]"),
    ("voiceplatform/api/middleware.py", "acted-for tenant", "tenant_scope(found.tenant_id)", "tenant_scope(found.home_id)"),
    ("voiceplatform/api/middleware.py", "key in the audit", ", calling_with(found.key_id)", ""),
    ("tenants/services/api_keys.py", "secret", "same = hmac.compare_digest(", "same = bool("),
    ("tenants/services/api_keys.py", "revoked key kept", "_kept.pop(key.prefix, None)", "pass"),
    ("tenants/services/api_keys.py", "key kept too long", "KEPT_FOR_S: Final = 3.0", "KEPT_FOR_S: Final = 300.0"),
    ("tenants/services/api_keys.py", "key expires later", "row.expires_at <= timezone.now()", "row.expires_at.year < 2000"),
    (
        "tenants/services/api_keys.py",
        "any address fits",
        "return any(address in ip_network(cidr) for cidr in cidrs)",
        "return True",
    ),
    (
        "tenants/services/api_keys.py",
        "no address fits",
        "if ip is None:\n        return False",
        "if ip is None:\n        return True",
    ),
    ("tenants/services/api_keys.py", "livemode of the key", "livemode=row.livemode", "livemode=True"),
    ("tenants/caller.py", "scopes of the key", "return scope in self.scopes", "return True"),
    ("tenants/api/authentication.py", "action without a scope", "return scope is not None and ", "return scope is None or "),
    ("tenants/api/throttling.py", "limit of the key", '{f"api:{caller.key_id}:{window}": caller.per_minute, ', "{"),
    (
        "tenants/api/throttling.py",
        "limit of the tenant",
        ', f"api:{caller.home_id}:{window}": caller.tenant_per_minute}',
        "}",
    ),
    ("tenants/api/idempotency.py", "lock of the key", "return bool(got)", "return True"),
    ("tenants/api/idempotency.py", "lock of the tenant", '{current_tenant_id()}:{key}"', '{key}"'),
    ("tenants/api/idempotency.py", "digest of the body", '\\n{body}"', '"'),
    ("tenants/api/idempotency.py", "digest of the address", "{request.method} {request.path}", ""),
)


def find_all() -> list[Mutant]:
    """Every mutant, in the order of the files."""
    names = sorted({path for pattern in (*NARROWED, *ROWS, *GUARDED) for path in _matching(pattern)})
    found = [mutant for name in names for mutant in _Source(name).mutants()]
    return sorted([*found, *map(_by_hand, BY_HAND)], key=lambda mutant: (mutant.path, mutant.start))


def _matching(pattern: str) -> Iterator[str]:
    paths = PROJECT.glob(pattern)
    return (str(path.relative_to(PROJECT)) for path in paths if "tests" not in path.parts and not path.parts[-3].startswith("."))


def _by_hand(swap: tuple[str, str, str, str]) -> Mutant:
    path, kind, before, after = swap
    source = (PROJECT / path).read_bytes()
    if source.count(before.encode()) != 1:
        raise LookupError(f"{path} must have {before!r} once")
    start = source.index(before.encode())
    return Mutant(path, source.count(b"\n", 0, start) + 1, kind, before, after, start, start + len(before.encode()))


class _Source:
    def __init__(self, path: str) -> None:
        self.path = path
        self.source = (PROJECT / path).read_bytes()
        self.tree = ast.parse(self.source)
        self.lines = [0, *(at + 1 for at, byte in enumerate(self.source) if byte == ord("\n"))]
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def mutants(self) -> Iterator[Mutant]:
        rules = [self._scopes, self._idempotent, self._matches, self._costly, self._livemode, self._asks_caller]
        rules += [self._rows] if self._is_in(ROWS) else []
        rules += [self._narrowed] if self._is_in(NARROWED) else []
        rules += [self._guards] if self._is_in(GUARDED) else []
        return chain.from_iterable(rule(node) for node in ast.walk(self.tree) for rule in rules)

    def _is_in(self, patterns: tuple[str, ...]) -> bool:
        return any(Path(self.path).match(pattern) for pattern in patterns)

    def _function(self, node: ast.AST) -> str:
        while not isinstance(node, ast.FunctionDef | ast.Module):
            node = self.parents[node]
        return getattr(node, "name", "the module")

    def _mutant(self, node: ast.expr | ast.stmt | ast.keyword, kind: str, after: str) -> Mutant:
        start = self.lines[node.lineno - 1] + node.col_offset
        end = self.lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return Mutant(self.path, node.lineno, kind, self.source[start:end].decode(), after, start, end)

    def _scopes(self, node: ast.AST) -> Iterator[Mutant]:
        """An action asks for a scope that its callers have anyway."""
        if not _assigns(node, "scopes"):
            return
        value = node.value  # type: ignore[attr-defined]
        for call in ast.walk(value):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "dict.fromkeys":
                for action in ast.literal_eval(call.args[0]):
                    yield self._mutant(call, f"scope of {action}", f'{{**{ast.unparse(call)}, "{action}": "tenants:act"}}')
        if isinstance(value, ast.Dict):
            for action, scope in zip(value.keys, value.values, strict=True):
                if isinstance(action, ast.Constant):
                    yield self._mutant(scope, f"scope of {action.value}", '"tenants:act"')

    def _idempotent(self, node: ast.AST) -> Iterator[Mutant]:
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Name) and decorator.id == "idempotent":
                yield self._mutant(decorator, f"idempotent {node.name}", "(lambda handler: handler)")  # type: ignore[attr-defined]

    def _matches(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "require_match":
            yield self._mutant(node, "If-Match", "pass")

    def _costly(self, node: ast.AST) -> Iterator[Mutant]:
        if _assigns(node, "costly") and node.value is not None and node.value.args:  # type: ignore[attr-defined]
            yield self._mutant(node.value, "costly", "frozenset()")  # type: ignore[attr-defined]

    def _livemode(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.IfExp) and ast.unparse(node.test).endswith("caller.livemode"):
            yield self._mutant(node.test, "livemode", "True")

    def _asks_caller(self, node: ast.AST) -> Iterator[Mutant]:
        if (
            isinstance(node, ast.If)
            and not self._is_in(GUARDED)
            and "caller." in ast.unparse(node.test).lower().replace("_", ".")
        ):
            yield self._mutant(node.test, "check of the caller", "False")
            yield from self._operands(node.test)

    def _rows(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.Attribute) and node.attr == "objects" and ast.unparse(node.value) in tenant_models():
            used = self.parents[node]
            if not (isinstance(used, ast.Attribute) and used.attr in _MAKES):
                yield self._mutant(node, f"tenant filter in {self._function(node)}", _UNSCOPED.format(ast.unparse(node.value)))

    def _narrowed(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"filter", "exclude", "get", "Q"}:
            for keyword in node.keywords:
                if keyword.arg in _OWNERS:
                    yield self._mutant(keyword, "narrowed by hand", "pk__isnull=False")

    def _guards(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            yield self._mutant(node.test, "check", "False")
            yield from self._operands(node.test)

    def _operands(self, test: ast.expr) -> Iterator[Mutant]:
        if isinstance(test, ast.BoolOp):
            for operand in test.values:
                yield self._mutant(operand, "part of a check", "False" if isinstance(test.op, ast.Or) else "True")


def _assigns(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def tenant_models() -> set[str]:
    return {model.__name__ for model in apps.get_models() if issubclass(model, TenantModel)}
