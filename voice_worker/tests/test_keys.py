"""Keys of a phone, both ways: what callers press reaches the model, and what the model presses reaches the phone."""

import asyncio
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async

from agents.pipeline import Digits
from tenants.models import Tenant
from voice_worker.entrypoint import Job
from voice_worker.keys import MOST, Entry, as_message, shown
from voice_worker.providers.constant import Rule
from voice_worker.tests.calling import make_job, stages, stored, talk

PIN = Rule(hears=r"pressed: 1234#", say="That is right.")


class Phone:
    """Keys with a test at the far end."""

    def __init__(self) -> None:
        self.pressed = ""
        self.was_pressed = asyncio.Event()
        self.on_key: asyncio.Future[Callable[[str], None]] = asyncio.get_running_loop().create_future()

    def listen(self, on_key: Callable[[str], None]) -> None:
        self.on_key.set_result(on_key)

    async def press(self, digits: str) -> None:
        self.pressed += digits
        self.was_pressed.set()

    async def type_in(self, digits: str) -> None:
        on_key = await self.on_key
        for digit in digits:
            on_key(digit)


async def turns(job: Job, tenant: Tenant) -> list[tuple[str, str]]:
    return await sync_to_async(stored)(job.call_id, tenant, lambda call: list(call.turns.values_list("speaker", "text")))


@pytest.mark.parametrize(
    ("hiding", "seen"),
    [
        ({}, "[pressed: ••••#]"),
        ({"hide_digits": False}, "[pressed: 1234#]"),
        ({"hide_from": 5}, "[pressed: 1234#]"),
    ],
)
async def test_the_model_gets_what_transcripts_hide(caller_tenant: Tenant, hiding: dict[str, object], seen: str) -> None:
    job = await sync_to_async(make_job)(caller_tenant, digits=hiding)
    async with talk(job, build=stages(rules=[PIN])) as (line, _):
        line.keys = phone = Phone()
        await line.reply()
        await phone.type_in("1234#")
        await line.reply()
    assert (await turns(job, caller_tenant))[1:] == [("caller", seen), ("agent", "That is right.")]


def test_what_is_shown() -> None:
    assert shown("123", Digits()) == "123"
    assert shown("1234", Digits()) == "••••"
    assert shown("*1234#", Digits(hide_from=1)) == "*••••#"
    assert shown("#", Digits(hide_from=1)) == "#"
    assert as_message("12#") == "[pressed: 12#]"


async def test_an_entry_ends_with_the_hash_at_once_with_a_pause_or_when_it_is_full() -> None:
    entries: list[str] = []
    complete: asyncio.Queue[str] = asyncio.Queue()

    def take(keys: str) -> None:
        entries.append(keys)
        complete.put_nowait(keys)

    entry = Entry(take, pause_s=0.05)
    for key in "12#3":
        entry.press(key)
    assert entries == ["12#"]
    assert [await complete.get(), await complete.get()] == ["12#", "3"]
    for _ in range(MOST + 1):
        entry.press("7")
    assert entries[2:] == ["7" * MOST]
    entry.close()
    await asyncio.sleep(0.1)
    assert len(entries) == 3


async def test_the_model_presses_keys_and_says_nothing_more(caller_tenant: Tenant) -> None:
    job = await sync_to_async(make_job)(caller_tenant, tools={"press_digits": {}})
    rules = [Rule(hears="press one", tool="press_digits", arguments={"digits": "1#"})]
    phone = Phone()
    async with talk(job, build=stages(hears=["For sales press one."], rules=rules)) as (line, _):
        line.keys = phone
        await line.reply()
        await line.say()
        async with asyncio.timeout(10):
            await phone.was_pressed.wait()
        await asyncio.sleep(0.5)
    assert phone.pressed == "1#"
    assert len(await turns(job, caller_tenant)) == 2
