"""A host that is told to stop while it holds calls: how many are cut, by the account of a simulated carrier."""

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Final
from uuid import UUID

from benchmarks.calls import prepare_database
from benchmarks.report import Report, median
from benchmarks.telephone_rig import GREETS_AFTER_S, Network, dispatched, moment, telephone_network, wait_for
from tests.livekit.platform import Worker

CALLS: Final = 6
_DRAIN_S: Final = 120.0
_TALKS_S: Final = 12
"""At least; not so long that the agent takes silence for the end."""


def book(calls: int) -> dict[str, Any]:
    """Phones that answer and hang up by themselves, one after the other, well after the host was told."""
    tones = [{"kind": "tone", "token": at, "after_s": GREETS_AFTER_S + 2} for at in range(calls + 1)]
    stays = [{"after_s": 0.2, "then": tone, "hangs_up_after_s": _TALKS_S + at} for at, tone in enumerate(tones)]
    return {"numbers": {_phone(at): phone for at, phone in enumerate(stays)}}


def _phone(at: int) -> str:
    return f"+1202558{1000 + at}"


def drain(report: Report, network: Network, worker: Worker, *, calls: int) -> None:
    number = network.open_line(channels=calls + 1)
    placed = [network.dial(_phone(at), number=number).pk for at in range(calls)]
    with dispatched():
        wait_for(lambda: _statuses(network, placed)["in_progress"] == calls, seconds=60, what="the answer of all calls")
        told = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        late = network.dial(_phone(calls), number=number).pk
        stopped = _exits(worker)
    ends = Counter(f"{call.disposition} ({call.ended_reason})" for call in map(network.call, placed))
    well, exited = ends["completed (recipient_hung_up)"], worker.process.returncode
    legs = {leg[0]["room"]: leg for leg in network.carrier.legs().values()}
    talked = [_talked_s(legs.get(network.call(call_id).room, [])) for call_id in placed]
    report.add("calls that the host held", calls)
    report.add("calls cut", calls - well, target="0", ok=well == calls)
    report.add("shortest talk beyond what its phone meant", min(talked), "s", target="≥ -0.5", ok=min(talked) >= -0.5)
    report.add("calls taken after the signal", int(bool(network.call(late).job_id)), target="0", ok=not network.call(late).job_id)
    report.add("host's exit code", exited, target="0", ok=exited == 0)
    report.add("signal → host gone", stopped - told, "s", target=f"≤ {_DRAIN_S:g} s", ok=stopped - told <= _DRAIN_S)
    report.add("end → ledger final, median", median(_final_ms(network, placed)), "ms")
    report.notes.append(", ".join(f"{count} × {end}" for end, count in ends.items()))


def _statuses(network: Network, placed: list[UUID]) -> Counter[str]:
    return Counter(network.call(call_id).status for call_id in placed)


def _exits(worker: Worker) -> float:
    """When the host had gone, on the monotonic clock."""
    try:
        worker.process.wait(timeout=_DRAIN_S + 30)
    except subprocess.TimeoutExpired:
        worker.kill()
    return time.monotonic()


def _talked_s(leg: list[dict[str, Any]]) -> float:
    """Seconds from answer to end, less what the phone meant to stay."""
    answered, ended = moment(leg, "answer"), moment(leg, "end")
    if answered is None or ended is None:
        return -float(_TALKS_S)
    meant = _TALKS_S + (int(leg[0]["to"].removeprefix(_phone(0)[:-4])) - 1000)
    return ended - answered - meant


def _final_ms(network: Network, placed: list[UUID]) -> list[float]:
    calls = [network.call(call_id) for call_id in placed]
    return [(call.finalized_at - call.ended_at).total_seconds() * 1000 for call in calls if call.finalized_at and call.ended_at]


def run(*, calls: int = CALLS) -> Report:
    report = Report("telephony_drain")
    with telephone_network(book(calls)) as network, Worker(network.server, drain_s=_DRAIN_S) as worker:
        drain(report, network, worker, calls=calls)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.telephony_drain", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="live calls when the host is told to stop")
    options = parser.parse_args()
    prepare_database()
    return run(calls=options.calls).publish()


if __name__ == "__main__":
    sys.exit(main())
