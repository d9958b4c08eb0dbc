"""How much memory processes use, as the kernel tells it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

_KB_PER_MB = 1024


def pss_mb(pid: int) -> float:
    """Memory of a process in MB, with its share of what it has in common with others. 0 for one that is gone."""
    return _sum_mb(pid, ["Pss"])


def private_mb(pid: int) -> float:
    """Memory in MB that nobody but the process uses. 0 for one that is gone."""
    return _sum_mb(pid, ["Private_Clean", "Private_Dirty"])


def pss_of(pids: Mapping[str, int]) -> dict[str, float]:
    """MB by name. Blocks for some milliseconds per process: the kernel walks all its pages."""
    return {name: pss_mb(pid) for name, pid in pids.items()}


def _sum_mb(pid: int, names: Iterable[str]) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    counted = dict(line.split(":", 1) for line in lines[1:])
    return sum(int(counted[name].split()[0]) for name in names if name in counted) / _KB_PER_MB
