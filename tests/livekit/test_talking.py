"""A persona at the end of a phone, with a voice that is made up."""

from collections.abc import Iterator

import pytest

from tests.livekit.rig import Carrier, Phones, until
from voice_worker.tests.hosting import FakeSpeech
from voiceplatform.embedded.supervisor import Supervisor

BOOK = {"numbers": {"+12025550001": {"after_s": 0.2, "then": {"kind": "persona", "persona": "hours_and_message"}}}}


@pytest.fixture
def carrier(server: Supervisor) -> Iterator[Carrier]:
    speech = FakeSpeech()
    with Carrier(server, book=BOOK, speech_url=speech.url) as running:
        yield running
    speech.close()


async def test_a_persona_hears_the_agent_and_answers(carrier: Carrier, phones: Phones):
    room = phones.new_room()
    async with phones.person(room) as person:
        await person.publish()
        made = await phones.dial("+12025550001", room=room)
        account = carrier.folder / f"{made.sip_call_id}.jsonl"
        await until(account.exists)
        await person.say("Good morning, this is the practice. How can I help you?")
        await until(lambda: '"heard"' in account.read_text() and '"spoken"' in account.read_text(), seconds=30)
    assert await carrier.do("hang_up", leg=made.sip_call_id) == 1
    await until(lambda: '"end"' in account.read_text())
    assert carrier.leg(room=room)[-1]["by"] == "phone"
