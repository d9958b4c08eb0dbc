"""The carrier as a process: its limits, its log when it is killed, the broker restarted under it."""

import asyncio
import json
import os
import signal

from livekit import api

from tests.livekit.rig import Carrier, Phones
from voice_worker.simulation.carrier.log import read_log
from voiceplatform.embedded.supervisor import Supervisor

BOOK = {
    "limits": {"cps": 2, "concurrent": 3},
    "numbers": {"+12025550001": {"after_s": 0.1}, "+12025550002": {"outcome": "refuse", "after_s": 0.1}},
}


async def outcome(phones: Phones, number: str) -> str:
    try:
        await phones.dial(number)
    except api.TwirpError as error:
        return error.metadata.get("sip_status", error.code)
    return "answered"


async def test_the_limits_answer_like_a_carrier(carrier: Carrier, phones: Phones):
    told = await asyncio.gather(*(outcome(phones, "+12025550002") for _ in range(5)))
    taken = [lines[0]["mono"] for lines in carrier.legs().values() if lines[-1]["status"] == 486]
    assert set(told) == {"Busy Here", "CPS limit exceeded"}
    assert all(after - before >= 1 for before, after in zip(taken, taken[2:], strict=False))
    for _ in range(3):
        await asyncio.sleep(1.1)
        assert await outcome(phones, "+12025550001") == "answered"
    await asyncio.sleep(1.1)
    assert await outcome(phones, "+12025550001") == "Concurrent call limit exceeded"
    assert await carrier.do("hang_up") == 3


async def test_killed_it_leaves_a_readable_log_and_goes_on_in_it(carrier: Carrier, phones: Phones):
    await asyncio.sleep(1.1)
    room = phones.new_room()
    await phones.dial("+12025550001", room=room)
    carrier.kill()
    before = read_log(carrier.log_path)
    assert [line["event"] for line in before if line["leg"] == before[-1]["leg"]] == ["invite", "ringing", "answer"]
    with carrier.log_path.open("a") as log:
        log.write('{"event": "cut o')
    carrier.start_again()
    await phones.dial("+12025550001")
    after = read_log(carrier.log_path)
    assert after[: len(before)] == before
    assert [line["event"] for line in after[len(before) :]] == ["invite", "ringing", "answer"]
    assert [line["mono"] for line in after] == sorted(line["mono"] for line in after)


async def test_it_finds_its_way_back_to_a_restarted_broker(carrier: Carrier, phones: Phones, server: Supervisor):
    old = json.loads(server.home.state_file.read_text())["valkey"]["pid"]
    os.kill(old, signal.SIGKILL)
    deadline = asyncio.get_running_loop().time() + 20
    # Until then the server itself refuses, or finds nobody.
    while (told := await outcome(phones, "+12025550002")) != "Busy Here":
        assert asyncio.get_running_loop().time() < deadline, told
        await asyncio.sleep(0.3)
    assert json.loads(server.home.state_file.read_text())["valkey"]["pid"] != old
    assert await carrier.do("legs") == []
