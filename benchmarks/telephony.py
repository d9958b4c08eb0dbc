"""Telephone calls on a real LiveKit server, by the account of a simulated carrier: pace, times, lost tokens, memory."""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import av
import numpy as np
from livekit import api

from benchmarks.calls import prepare_database
from benchmarks.report import Report, median, percentile
from benchmarks.telephone_rig import (
    GREETS_AFTER_S,
    Leg,
    Network,
    dispatched,
    largest_child_mb,
    moment,
    telephone_network,
    wait_for,
)
from calls.models import Call, PhoneNumber, Recording
from tenants.scope import tenant_scope
from tests.livekit.platform import Worker
from voice_worker.audio import RATE
from voice_worker.simulation.carrier.sounds import TokenEar
from voiceplatform.embedded.environment import PROJECT

PARTS: Final = ("pace", "inbound", "outbound", "memory")
RATES: Final = (1, 5, 20)
AT_ONCE: Final = 8
"""A call with both its ends takes about a third of a core."""
MEMORY_TARGET_MB: Final = 64
"""docs/adr/0008."""
_PROCESSES: Final = 4
_PACED, _STAYS, _CALLER = "+12025557001", "+12025557002", "+12025557003"
_SETTLES_S: Final = 5.0
_CLEARS_S: Final = 120.0
_PACED_CALLS: Final = 300
"""At most, at one rate: the carrier joins the room of each, which costs more than all the rest."""
_THIN = {"kind": "silence", "thin": True}
_TOKENS: Final = 150
"""The first of them are played by phones, as many more by the agent."""


def book(calls: int) -> dict[str, Any]:
    """What the phones do: each that is called for the tokens plays one of its own."""
    quick: dict[str, Any] = {"after_s": 0.2}
    # The agent would take it for somebody who speaks, and wait.
    tones = [{"kind": "tone", "token": at % _TOKENS, "after_s": GREETS_AFTER_S + 2} for at in range(calls)]
    numbers = {_phone(at): {**quick, "then": tone, "hangs_up_after_s": 8} for at, tone in enumerate(tones)}
    numbers[_PACED] = {"outcome": "refuse", "after_s": 0, "rings": False, "then": _THIN}
    numbers[_STAYS] = {**quick, "hangs_up_after_s": 60}
    return {"numbers": numbers}


def _phone(at: int) -> str:
    return f"+1202556{1000 + at}"


# -- pace ----------------------------------------------------------------------------------------------------------


def pace(report: Report, network: Network, *, cps: int, seconds: float) -> None:
    """How many INVITEs reach the carrier in any second when several processes call as fast as they may."""
    number = network.open_line(cps=cps)
    trunk = number.grant.trunk
    command = [sys.executable, "-m", "benchmarks.pace", str(trunk.pk), trunk.livekit_id, _PACED, str(seconds)]
    env = {**os.environ, **network.server.exports, "DATABASE_URL": os.environ["DATABASE_URL"]}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env, cwd=PROJECT, text=True) for _ in range(_PROCESSES)]
    told = [line.split() for process in running for line in process.communicate()[0].splitlines()]
    due, sent = {room: float(at) for room, at, _ in told}, sorted(float(at) for _, _, at in told)
    invites = {leg[0]["room"]: leg[0] for leg in _over(network, due) if leg[0]["event"] == "invite"}
    at, asked = sorted(invite["mono"] for invite in invites.values()), sorted(invite["asked"] for invite in invites.values())
    late = [(invite["mono"] - due[room]) * 1000 for room, invite in invites.items()]
    for what, moments in (("requests sent", sent), ("requests at the carrier", asked), ("INVITEs of the carrier", at)):
        most = busiest_second(moments)
        report.add(f"{cps} a second: {what}, most in a second", most, target=f"≤ {cps}", ok=bool(moments) and most <= cps)
    report.add(f"{cps} a second: INVITEs of requests", f"{len(at)} of {len(due)}", target="all", ok=len(at) == len(due))
    report.add(f"{cps} a second: rate reached", (len(asked) - 1) / (asked[-1] - asked[0]) if len(asked) > 1 else 0.0, "/s")
    report.add(f"{cps} a second: turn → INVITE, p50 / p95", f"{median(late):.0f} / {percentile(late, 95):.0f}", "ms")
    for what, moments in (("requests came", asked), ("INVITEs", at)):
        report.notes.append(f"{cps} a second, how often a second had how many {what}: {_histogram(moments)}")
    report.details |= {f"sent_at_{cps}": sent, f"asked_at_{cps}": asked, f"invites_at_{cps}": at}


def _over(network: Network, rooms: Collection[str]) -> list[Leg]:
    """The legs in the rooms, once all have ended, or as far as they have come by then.

    The carrier joins the room of each before its INVITE, which takes a slow machine longer than the next ones take to come.
    """

    def legs() -> list[Leg]:
        return [leg for leg in network.carrier.legs().values() if leg[0].get("room") in rooms]

    with contextlib.suppress(TimeoutError):
        wait_for(
            lambda: len(found := legs()) == len(rooms) and all(moment(leg, "end") is not None for leg in found),
            seconds=_CLEARS_S,
            what="the end of the paced calls",
        )
    return legs()


def busiest_second(at: Sequence[float]) -> int:
    """The most moments that fall into any second; `at` is in order."""
    first, most = 0, 0
    for last, moment_s in enumerate(at):
        while moment_s - at[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _histogram(at: Sequence[float]) -> str:
    """How many seconds had how many INVITEs."""
    seconds = Counter(int(moment_s - at[0]) for moment_s in at)
    shares = Counter(seconds[second] for second in range(max(seconds, default=-1) + 1))
    return ", ".join(f"{count} × {times} s" for count, times in sorted(shares.items()))


# -- inbound -------------------------------------------------------------------------------------------------------


def inbound(report: Report, network: Network, *, calls: int) -> None:
    """From the INVITE of somebody who calls in to the moment the agent takes the call, one call after the other."""
    number = network.open_line()
    network.answer(number)
    took = []
    for _ in range(calls):
        asked = {"caller": _CALLER, "called": number.phone, "actor": '{"kind": "silence", "thin": true}', "seconds": 2.0}
        [made] = asyncio.run(network.carrier.do("call", **asked))
        if not made["leg"]:
            continue
        leg = wait_for(lambda: _ended_leg(network, made["leg"]), seconds=30, what="the end of an inbound call")  # noqa: B023
        invited, answered = moment(leg, "invite"), moment(leg, "answer")
        if invited is not None and answered is not None:
            took.append((answered - invited) * 1000)
    report.add("inbound: answered", f"{len(took)} of {calls}", target="all", ok=len(took) == calls)
    report.add("inbound: INVITE → answer, p50 / p95", f"{median(took):.0f} / {percentile(took, 95):.0f}", "ms")
    report.details["inbound_ms"] = took


def _ended_leg(network: Network, leg_id: str) -> Leg | None:
    leg = network.carrier.legs().get(leg_id, [])
    return leg if moment(leg, "end") is not None else None


# -- outbound ------------------------------------------------------------------------------------------------------


def outbound(report: Report, network: Network, worker: Worker, *, calls: int, at_once: int) -> None:
    """Calls in a row, some at once, with a token of its own each way."""
    number, placed = network.open_line(channels=at_once), dict[UUID, int]()
    for at in range(calls):
        greeting = f"The tone of {_hertz(at)} Hz is all that this agent has to say."
        placed[network.dial(_phone(at), number=number, overrides={"greeting": greeting}).pk] = at
    with dispatched():
        wait_for(lambda: _finished(network, placed) == calls, seconds=60 + calls * 4, what="the end of all calls")
    legs = {leg[0]["room"]: leg for leg in network.carrier.legs().values()}
    setups, unheard = [], []
    for call_id, at in placed.items():
        leg = legs.get(network.call(call_id).room, [])
        invited, heard = moment(leg, "invite"), moment(leg, "tone", way="heard", token=_agent_token(at))
        if invited is None or heard is None:
            unheard.append(at)
        else:
            setups.append((heard - invited) * 1000)
    unrecorded = [at for call_id, at in placed.items() if at % _TOKENS not in _recorded_tokens(network, worker, call_id)]
    _report_outbound(report, network, placed, at_once=at_once, setups=setups, lost=[unheard, unrecorded])


def _report_outbound(
    report: Report, network: Network, placed: dict[UUID, int], *, at_once: int, setups: list[float], lost: list[list[int]]
) -> None:
    calls = [network.call(call_id) for call_id in placed]
    final = [(call.finalized_at - call.ended_at).total_seconds() * 1000 for call in calls if call.finalized_at and call.ended_at]
    ends = Counter(f"{call.disposition} ({call.ended_reason})" for call in calls)
    well = ends["completed (recipient_hung_up)"]
    report.add("outbound: ended by the phone", f"{well} of {len(calls)}", target="all", ok=well == len(calls))
    for who, missing in zip(("agent's not heard by the phone", "phone's not in the recording"), lost, strict=True):
        report.add(f"outbound: tokens lost, {who}", len(missing), target="0", ok=not missing)
    report.add("outbound: INVITE → token heard, p50 / p95", f"{median(setups):.0f} / {percentile(setups, 95):.0f}", "ms")
    report.add("outbound: end → ledger final, p50 / p95", f"{median(final):.0f} / {percentile(final, 95):.0f}", "ms")
    report.notes.append(
        f"outbound: {len(calls)} calls, {at_once} at once; a phone answers after 200 ms and stays silent for "
        f"{GREETS_AFTER_S} s, a token is heard after 750 ms; a ledger is final when the last words are recognised"
    )
    report.notes.append("outbound: " + ", ".join(f"{count} × {end}" for end, count in ends.items()))
    report.details |= {"setup_ms": setups, "final_ms": final, "unheard": lost[0], "unrecorded": lost[1]}


def _agent_token(at: int) -> int:
    return _TOKENS + at % _TOKENS


def _hertz(at: int) -> int:
    return 400 + 10 * _agent_token(at)


def _finished(network: Network, placed: dict[UUID, int]) -> int:
    with tenant_scope(network.tenant):
        return Call.objects.filter(pk__in=list(placed)).exclude(finalized_at=None).count()


def _recorded_tokens(network: Network, worker: Worker, call_id: UUID) -> set[int]:
    """What the phone was heard to play: the recording's left side."""

    def stored() -> Recording | None:
        with tenant_scope(network.tenant):
            return Recording.objects.filter(call_id=call_id).exclude(state="spooled").first()

    try:
        recording = wait_for(stored, seconds=20, what="the recording")
    except TimeoutError:
        return set()
    return tokens_of(worker.folder / "files" / "recordings" / recording.file) if recording.file else set()


def tokens_of(path: Path) -> set[int]:
    heard: set[int] = set()
    ear, resampler = TokenEar(heard.add), av.AudioResampler(format="s16", layout="stereo", rate=RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for plain in resampler.resample(frame):
                ear.push(plain.to_ndarray().reshape(-1, 2)[:, 0].astype(np.int16))
    return heard


# -- memory --------------------------------------------------------------------------------------------------------


def memory(report: Report, network: Network, worker: Worker, *, calls: int) -> None:
    """Private memory of the process that holds a call, some seconds into it, against one with the framework alone."""
    number = network.open_line()
    ours = [_memory_of_call(network, worker, number) for _ in range(calls)]
    bare = _memory_of_bare(network, number, calls=calls)
    ours_mb = median(ours)
    report.add("memory: private, our call", ours_mb, "MB", target=f"≤ {MEMORY_TARGET_MB}", ok=ours_mb <= MEMORY_TARGET_MB)
    report.add("memory: private, bare job", median(bare), "MB")
    report.add("memory: ratio of medians", ours_mb / median(bare), "×")
    report.details |= {"ours_mb": ours, "bare_mb": bare}


def _memory_of_call(network: Network, worker: Worker, number: PhoneNumber) -> float:
    call = network.dial(_STAYS, number=number)
    with dispatched():
        wait_for(lambda: network.call(call.pk).answered_at, seconds=30, what="the answer")
        time.sleep(_SETTLES_S)
        used = largest_child_mb(worker.process.pid)
        asyncio.run(network.carrier.do("hang_up"))
        wait_for(lambda: network.call(call.pk).finalized_at, seconds=30, what="the end")
    return used


def _memory_of_bare(network: Network, number: PhoneNumber, *, calls: int) -> list[float]:
    folder = Path(__file__).parent / "bare"
    env = {**os.environ, **network.server.exports, "PYTHONPATH": f"{folder}:{PROJECT}", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "import bare_worker; bare_worker.main()"]
    process = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "registered"
        time.sleep(_SETTLES_S)
        return [_memory_of_bare_call(network, number, process.pid, room=f"bare-{number.pk}-{at}") for at in range(calls)]
    finally:
        process.terminate()
        process.wait(timeout=30)


def _memory_of_bare_call(network: Network, number: PhoneNumber, pid: int, *, room: str) -> float:
    wanted = api.CreateAgentDispatchRequest(agent_name="bare", room=room)
    network.livekit.ask(lambda lk: lk.agent_dispatch.create_dispatch(wanted))
    called = api.CreateSIPParticipantRequest(
        room_name=room, sip_trunk_id=number.grant.trunk.livekit_id, sip_call_to=_STAYS, participant_identity="callee"
    )
    network.livekit.ask(lambda lk: lk.sip.create_sip_participant(called))
    asked = api.ListParticipantsRequest(room=room)
    wait_for(
        lambda: len(network.livekit.ask(lambda lk: lk.room.list_participants(asked)).participants) == 2,
        seconds=30,
        what="a bare job in its room",
    )
    time.sleep(_SETTLES_S)
    used = largest_child_mb(pid)
    network.livekit.ask(lambda lk: lk.room.delete_room(api.DeleteRoomRequest(room=room)))
    time.sleep(2.0)
    return used


# -- all of it -----------------------------------------------------------------------------------------------------


def run(
    *, parts: Sequence[str] = PARTS, calls: int = 100, at_once: int = AT_ONCE, inbound_calls: int = 20, seconds: float = 60.0
) -> Report:
    report = Report("telephony")
    with telephone_network(book(calls)) as network:
        if {"inbound", "outbound", "memory"} & set(parts):
            with Worker(network.server, drain_s=30) as worker:
                if "inbound" in parts:
                    inbound(report, network, calls=inbound_calls)
                if "outbound" in parts:
                    outbound(report, network, worker, calls=calls, at_once=at_once)
                if "memory" in parts:
                    memory(report, network, worker, calls=3)
        if "pace" in parts:
            for cps in RATES:
                pace(report, network, cps=cps, seconds=min(seconds, _PACED_CALLS / cps))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.telephony", description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="outbound calls")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="outbound calls at once")
    parser.add_argument("--inbound", type=int, default=20, help="inbound calls")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each pace is kept up, at most")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be given again")
    options = parser.parse_args()
    prepare_database()
    sizes = {"calls": options.calls, "at_once": options.at_once, "inbound_calls": options.inbound, "seconds": options.seconds}
    return run(parts=options.only or PARTS, **sizes).publish()


if __name__ == "__main__":
    sys.exit(main())
