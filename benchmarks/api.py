"""What a list of calls costs among a million, over what it costs REST framework alone; and what a key costs each request."""

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.wsgi import get_wsgi_application
from django.test import override_settings

from benchmarks.api_bare import Chosen
from benchmarks.api_clients import fifty_at_once
from benchmarks.api_rows import House, seeded
from benchmarks.calls import prepare_database
from benchmarks.report import Report, median, percentile
from benchmarks.sql import watched_sql
from tenants.api.throttling import count_request
from tenants.scope import tenant_scope
from tenants.services.api_keys import resolve_key
from tenants.services.requests import note_request

OURS, BARE, OPEN = "/api/v1/calls", "/bare/calls", "/open/calls"
SHARE: Final = 0.9
DEEP: Final = 1.2
DEEP_PAGE: Final = 1000


class Program:
    """Asks the WSGI application in this process, as a server's thread would."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.application = get_wsgi_application()

    def get(self, address: str) -> Any:
        status, body = self.ask(address)
        if status != 200:
            raise RuntimeError(f"{address}: {status} {body[:300]!r}")
        return json.loads(body)

    def ask(self, address: str) -> tuple[int, bytes]:
        parts, told = urlsplit(address), []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": parts.path or "/",
            "QUERY_STRING": parts.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {self.secret}",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
        }
        response = self.application(environ, lambda status, headers: told.append(status))
        body = b"".join(response)
        response.close()
        return int(told[0].split()[0]), body

    def times(
        self, addresses: Mapping[str, str], *, rounds: int, clock: Callable[[], float] = perf_counter
    ) -> dict[str, list[float]]:
        """Milliseconds of each address by `clock`, asked in turns."""
        found: dict[str, list[float]] = {name: [] for name in addresses}
        for number in range(rounds + 5):
            for name in sorted(addresses, key=lambda name: hash((name, number))):
                began = clock()
                self.ask(addresses[name])
                if number >= 5:
                    found[name].append((clock() - began) * 1000)
        return found

    def page(self, number: int) -> str:
        """The address of that page of a hundred."""
        address = f"{OURS}?limit=100"
        for _ in range(number - 1):
            address = self.get(address)["next"]
        return address


def measure_list(report: Report, program: Program, *, rounds: int) -> None:
    for limit in (20, 100):
        times = program.times({name: f"{name}?limit={limit}" for name in (OURS, BARE, OPEN)}, rounds=rounds)
        ours, bare, opened = (median(times[name]) for name in (OURS, BARE, OPEN))
        share = bare / ours
        report.add(f"requests/s, pages of {limit}, over the bare view's", share, target=f"≥ {SHARE}", ok=share >= SHARE)
        report.add("  the same without key, scope, limit and log", bare / opened)
        used = program.times({name: f"{name}?limit={limit}" for name in (OURS, BARE)}, rounds=rounds, clock=process_time)
        # On a shared machine each wait for another process also waits for strangers; this process's own time does not.
        report.add("  the same by this process's processor time", median(used[BARE]) / median(used[OURS]))
        for name, value in (("ours", ours), ("bare", bare), ("ours without", opened)):
            report.add(f"  {name}, median / p95", f"{value:.2f} / {percentile(times[_address(name)], 95):.2f}", "ms")


def _address(name: str) -> str:
    return {"ours": OURS, "bare": BARE}.get(name, OPEN)


def measure_depth(report: Report, program: Program, *, pages: int, rounds: int) -> None:
    times = program.times({"first": program.page(1), "deep": program.page(pages)}, rounds=rounds)
    ratio = median(times["deep"]) / median(times["first"])
    report.add(f"page {pages} over page 1", ratio, target=f"≤ {DEEP}", ok=ratio <= DEEP)


def filters_of(house: House) -> dict[str, str]:
    year = "2000-01-01T00:00:00Z"
    return {
        "none": "",
        "oldest first": "ordering=created_at",
        "agent": f"agent_id={house.agent.public_id}",
        "rare status": "status=in_progress",
        "missing status": "status=ringing",
        "common status": "status=ended",
        "kind": "kind=web",
        "missing kind": "kind=chat",
        "disposition": "disposition=failed",
        "missing disposition": "disposition=busy",
        "test calls": "livemode=false",
        "reason": "ended_reason=no_worker",
        "missing reason": "ended_reason=nothing",
        "persona": "persona=hours_and_message",
        "missing persona": "persona=nobody",
        "metadata": "metadata[order]=4711",
        "missing metadata": "metadata[order]=none",
        "nothing so old": f"created_at__lt={year}",
        "everything since": f"created_at__gte={year}",
        "half a year ago": f"created_at__lt={_ago(180)}",
        "a day half a year ago": f"created_at__gte={_ago(181)}&created_at__lt={_ago(180)}",
        "agent and status": f"agent_id={house.agent.public_id}&status=in_progress",
    }


def _ago(days: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def measure_filters(report: Report, program: Program, house: House) -> None:
    """Queries and milliseconds for each filter and page size; the plan of each is kept."""
    counts = set()
    for name, query in filters_of(house).items():
        for limit in (1, 100):
            program.get(f"{OURS}?limit={limit}&{query}")
            with watched_sql() as statements:
                began = perf_counter()
                program.get(f"{OURS}?limit={limit}&{query}")
                took = (perf_counter() - began) * 1000
            counts.add(len([sql for _, _, sql in statements.seen if _always(sql)]))
        report.add(f"  {name}: {len(statements.seen)} statements", took, "ms")
    report.add("other statements, whatever the page and filter", max(counts), ok=len(counts) == 1)


def _always(sql: str) -> bool:
    """A page without calls asks for no recordings, and a key is looked up every few seconds."""
    return "calls_recording" not in sql and "tenants_apikey" not in sql


def measure_parts(report: Report, house: House, *, rounds: int) -> None:
    """What each step in front of the view costs by itself."""
    caller = resolve_key(house.secret, ip="127.0.0.1")
    noted = {"caller": caller, "method": "GET", "path": OURS, "status": 200, "code": "", "duration_ms": 5, "ip": "127.0.0.1"}
    steps: dict[str, Callable[[], object]] = {
        "authentication, key known": lambda: resolve_key(house.secret, ip="127.0.0.1"),
        "scope": lambda: caller.may("calls:read"),
        "limits": lambda: count_request(caller, costs_money=False),
        "request log": lambda: note_request(**noted),
    }
    with tenant_scope(house.tenant):
        for name, step in steps.items():
            times = list(_timed(step, rounds))
            report.add(f"{name}, median / p95", f"{median(times):.0f} / {percentile(times, 95):.0f}", "µs")


def _timed(step: Callable[[], object], rounds: int) -> Iterator[float]:
    for _ in range(rounds):
        began = perf_counter()
        step()
        yield (perf_counter() - began) * 1_000_000


@override_settings(ROOT_URLCONF="benchmarks.api_bare", ALLOWED_HOSTS=["*"])
def measure(*, rows: int, rounds: int, pages: int) -> Report:
    report, house = Report("api"), seeded(rows)
    Chosen.tenant_id = house.tenant.pk
    program = Program(house.secret)
    report.notes.append(f"{rows:,} calls, 40 of 100 of them the asking customer's; asked in turns in one process")
    measure_list(report, program, rounds=rounds)
    measure_parts(report, house, rounds=rounds)
    measure_filters(report, program, house)
    measure_depth(report, program, pages=pages, rounds=rounds)
    fifty_at_once(report, house)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.api", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--pages", type=int, default=DEEP_PAGE)
    options = parser.parse_args(arguments)
    prepare_database()
    return measure(rows=options.rows, rounds=options.rounds, pages=options.pages).publish()


if __name__ == "__main__":
    sys.exit(main())
