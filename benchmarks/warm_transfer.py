"""Handing calls over on a real LiveKit server: how long until two people talk, and whether anybody heard what they must not."""

import argparse
import asyncio
import json
import sys
import time
from datetime import datetime
from typing import Any, Final

from benchmarks.calls import prepare_database
from benchmarks.report import Report, median, percentile
from benchmarks.telephone_rig import Leg, Network, moment, telephone_network, wait_for
from calls.models import CallEvent, PhoneNumber
from tenants.scope import tenant_scope
from tests.livekit.platform import Worker
from voice_worker.briefing import hold_sound
from voice_worker.simulation.carrier.sounds import tokens_in

QUEUE, PERSON, CALLER = "+12025557011", "+12025557012", "+12025557013"
CALLERS, COLLEAGUES, BRIEFING = 41, 53, 30
CONFIRMS_S: Final = 12.0
_HOLDS: Final = {token for at in (0, 24_000) for token in tokens_in(hold_sound()[at : at + 12_000])}
_TALK_S: Final = 2.0
_TONE: Final = {"kind": "tone", "token": COLLEAGUES}
BOOK: Final[dict[str, Any]] = {
    "numbers": {
        QUEUE: {"after_s": 0.2, "then": _TONE},
        PERSON: {"after_s": 0.2, "then": {"kind": "presses", "digits": "1", "after_s": CONFIRMS_S, "then": _TONE}},
    }
}
TRANSFERS: Final = {
    "1": {"targets": [{"phone": QUEUE, "kind": "queue"}]},
    "2": {"targets": [{"phone": PERSON}]},
}
_RULES: Final = [{"hears": rf"pressed: {key}", "tool": "press_digits", "arguments": {"digits": key}} for key in TRANSFERS]
ENVIRONMENT: Final = {
    "DJANGO_SETTINGS_MODULE": "tests.fakes.handing_settings",
    "VP_TEST_RULES": json.dumps(_RULES),
    "VP_TEST_TRANSFERS": json.dumps(TRANSFERS),
    "VP_TEST_REASON": "They ask for a refund, at 700 Hz",
}


def hand_over(network: Network, number: PhoneNumber, *, key: str, phone: str) -> tuple[float, int]:
    """Milliseconds from the last thing that was waited for, an answer or a key, to the join; and leaks before it."""
    asked = {"caller": CALLER, "called": number.phone, "seconds": 90.0}
    actor = json.dumps({"kind": "presses", "digits": key, "after_s": 4, "then": {"kind": "tone", "token": CALLERS}})
    [made] = asyncio.run(network.carrier.do("call", actor=actor, **asked))
    room = next(line["room"] for line in network.carrier.legs()[made["leg"]] if line.get("room"))
    joined = wait_for(lambda: _joined_at(network, room), seconds=60, what="the join")
    time.sleep(_TALK_S)
    asyncio.run(network.carrier.do("hang_up"))
    colleague = [leg for leg in network.carrier.legs().values() if leg[0].get("room") == room and leg[0].get("to") == phone][-1]
    begun = next(line for line in reversed(colleague) if line["event"] == ("digit" if key == "2" else "answer"))
    leaks = _leaks(network.carrier.legs()[made["leg"]], {COLLEAGUES, BRIEFING}, before=begun["mono"])
    leaks += _leaks(colleague, {CALLERS, *_HOLDS}, before=begun["mono"]) + _leaks(colleague, _HOLDS, before=float("inf"))
    assert moment(colleague, "tone", way="heard", token=CALLERS) is not None, "they do not hear each other"
    return (joined - datetime.fromisoformat(begun["at"]).timestamp()) * 1000, leaks


def _joined_at(network: Network, room: str) -> float | None:
    with tenant_scope(network.tenant):
        found = CallEvent.objects.filter(call__room=room, kind="handed_over").values_list("at", flat=True).first()
        return found.timestamp() if found else None


def _leaks(leg: Leg, forbidden: set[int], *, before: float) -> int:
    heard = [line for line in leg if line["event"] == "tone" and line["way"] == "heard" and line["mono"] < before]
    return sum(line["token"] in forbidden for line in heard)


def run(*, calls: int = 10) -> Report:
    report, leaks = Report("warm_transfer"), 0
    with telephone_network(BOOK, tools={"press_digits": {}}) as network, Worker(network.server, **ENVIRONMENT):
        number = network.open_line()
        network.answer(number)
        for what, key, phone in (("queue: answer", "1", QUEUE), ("person: key", "2", PERSON)):
            took = []
            for _ in range(calls):
                ms, leaked = hand_over(network, number, key=key, phone=phone)
                took.append(ms)
                leaks += leaked
            report.add(f"{what} → joined, p50 / p95", f"{median(took):.0f} / {percentile(took, 95):.0f}", "ms")
            report.details[f"{key}_ms"] = took
    report.add("tokens heard by who must not", leaks, target="0", ok=not leaks)
    report.notes.append(
        f"{calls} calls each, one after the other; nobody is joined within a second of their track, see voice_worker/apart.py"
    )
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.warm_transfer", description=__doc__)
    parser.add_argument("--calls", type=int, default=10, help="of each kind, one after the other")
    options = parser.parse_args()
    prepare_database()
    return run(calls=options.calls).publish()


if __name__ == "__main__":
    sys.exit(main())
