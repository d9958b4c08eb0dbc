"""What every benchmark prints and keeps: the machine, a table, a verdict per target, a JSON file under VP_HOME."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.conf import settings

Figure = float | int | str


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; with `ok` it is held against `target`."""

    name: str
    value: Figure
    unit: str = ""
    target: str = ""
    ok: bool | None = None


@dataclass(slots=True)
class Report:
    name: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: Figure, unit: str = "", *, target: str = "", ok: bool | None = None) -> None:
        self.rows.append(Row(name=name, value=value, unit=unit, target=target, ok=ok))

    @property
    def holds(self) -> bool:
        return all(row.ok is not False for row in self.rows)

    def publish(self) -> int:
        """Print and keep it; the exit code of the benchmark."""
        facts = machine_facts()
        print(f"\n{self.name}\n" + "; ".join(f"{key} {value}" for key, value in facts.items()))
        width = max((len(row.name) for row in self.rows), default=0)
        for row in self.rows:
            verdict = {True: "ok", False: "MISSED", None: ""}[row.ok]
            print(f"  {row.name:<{width}}  {_shown(row.value):>10} {row.unit:<8} {row.target:<22} {verdict}".rstrip())
        for note in self.notes:
            print(f"  {note}")
        print(f"  kept in {self._keep(facts)}")
        return 0 if self.holds else 1

    def _keep(self, facts: dict[str, str]) -> Path:
        folder = Path(settings.VP_HOME) / "benchmarks"
        folder.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC)
        path = folder / f"{self.name}-{at:%Y%m%dT%H%M%S}.json"
        path.write_text(json.dumps({"at": at.isoformat(), "machine": facts, **asdict(self)}, indent=1, default=str))
        return path


def machine_facts() -> dict[str, str]:
    return {
        "cpu": f"{_cpu_model()} × {len(os.sched_getaffinity(0))}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GB",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "livekit-agents": version("livekit-agents"),
        "commit": _commit(),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _shown(value: Figure) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100).__int__() - 1)] if ordered else float("nan")
