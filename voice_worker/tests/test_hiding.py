"""Canaries: keys that are to be hidden are found in no table, file, log or webhook that a call leaves."""

import asyncio
import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from asgiref.sync import sync_to_async
from django.apps import apps

from agents import handlers as _agents  # noqa: F401 - registers what webhooks tell
from calls import handlers as _calls  # noqa: F401 - the same
from integrations import handlers as _webhooks  # noqa: F401 - registers who is told
from integrations.services.endpoints import create_endpoint
from tenants import handlers as _tenants  # noqa: F401 - the same
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.delivery import drain
from voice_worker.hiding import Hiding
from voice_worker.journal_file import NAME
from voice_worker.providers.constant import Rule
from voice_worker.tests.calling import make_job, stages, talk
from voice_worker.tests.test_keys import Phone
from voiceplatform.lib import redaction

CANARY = "830517"
FORMS = (CANARY, "8 3 0 5 1 7", "8, 3, 0, 5, 1, 7", "eight three zero five one seven", "83w0517", "83-05-17")
ECHO = f"You pressed {CANARY}, 8 3 0 5 1 7, eight three zero five one seven."
RULES = [
    Rule(hears=rf"pressed: {CANARY}#", say=ECHO, tool="press_digits", arguments={"digits": "83w0517#"}),
    Rule(
        hears="about my bill",
        tool="take_message",
        arguments={"caller_name": "Ann Lee", "phone": CANARY, "reason": f"my bill {CANARY}"},
    ),
]


def found(text: str) -> set[str]:
    return {form for form in FORMS if form in text}


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """Everything that is logged, from DEBUG on, as the process prints it."""
    root, output = logging.getLogger(), io.StringIO()
    formatter = next(
        handler.formatter for handler in root.handlers if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    )
    handler, level = logging.StreamHandler(output), root.level
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield output
    root.removeHandler(handler)
    root.setLevel(level)
    redaction._HIDDEN.clear()


async def spooled(folder: Path, seen: list[str]) -> None:
    """All that ever stands in the journal, however soon it is cut."""
    while True:
        with contextlib.suppress(OSError):
            text = (folder / NAME).read_text(errors="replace")
            if text and text not in seen[-1:]:
                seen.append(text)
        await asyncio.sleep(0.001)


def rows() -> dict[str, str]:
    """Every row of every table."""
    kept = {}
    for model in apps.get_models():
        manager = getattr(model, "all_objects", model._default_manager)
        kept[model._meta.label] = "\n".join(str(values) for values in manager.values())
    return kept


def prepare(tenant: Tenant, hiding: dict[str, Any]) -> Any:
    with tenant_scope(tenant):
        create_endpoint(url="https://hooks.example.com/in")
    return make_job(tenant, digits=hiding, tools={"press_digits": {}, "take_message": {}})


async def leaks(tenant: Tenant, printed: io.StringIO, **hiding: Any) -> dict[str, set[str]]:
    """Where the canary is found after a call in which it was pressed, repeated, pressed on, and left in a message."""
    job = await sync_to_async(prepare)(tenant, hiding)
    journal, told = [""], list[Any]()
    watching = asyncio.create_task(spooled(job.folder, journal))
    build = stages(hears=["This is Ann Lee, it is about my bill."], rules=RULES)
    async with talk(job, build=build, observe=told.append) as (line, _):
        line.keys = phone = Phone()
        await line.reply()
        await phone.type_in(f"{CANARY}#")
        await line.reply()
        async with asyncio.timeout(10):
            await phone.was_pressed.wait()
        logging.getLogger("livekit.agents").warning("tool got 83w0517 and %s", CANARY)
        structlog.get_logger("vendor").warning("the model said", text=ECHO)
        await line.ask()
    assert phone.pressed == "83w0517#", "the phone gets what is hidden"
    watching.cancel()
    await sync_to_async(drain)()
    kept = await sync_to_async(rows)()
    files = {
        str(path): path.read_bytes().decode(errors="replace") for path in job.folder.parent.parent.rglob("*") if path.is_file()
    }
    places = {**kept, **files, "journal": "\n".join(journal), "observed": str(told), "logs": printed.getvalue()}
    return {place: forms for place, text in places.items() if (forms := found(text))}


async def test_hidden_keys_leave_no_trace(caller_tenant: Tenant, printed: io.StringIO) -> None:
    assert await leaks(caller_tenant, printed) == {}


async def test_what_is_not_hidden_is_found_where_canaries_are_looked_for(caller_tenant: Tenant, printed: io.StringIO) -> None:
    where = await leaks(caller_tenant, printed, hide_digits=False)
    assert set(where) >= {"calls.Turn", "calls.ToolCall", "calls.Message", "integrations.WebhookDelivery", "journal", "logs"}


@pytest.fixture
def hiding() -> Iterator[Hiding]:
    yield Hiding()
    redaction._HIDDEN.clear()


@pytest.mark.parametrize(
    ("pressed", "text", "masked"),
    [
        ("1234#", "It is 1234.", "It is ••••."),
        ("1234#", "One, two; three four!", "•, •; • •!"),
        ("1234", "account 1-2-34", "account •-•-••"),
        ("1234", "12345678", "••••5678"),
        ("12*34#", "12*34#", "••*••#"),
        ("1234", "13 24", "13 24"),
        ("12", "12 of 12", "12 of 12"),
        ("1" * 60, "1" * 60, "•" * 60),
    ],
)
def test_digits_are_hidden_however_they_are_written(hiding: Hiding, pressed: str, text: str, masked: str) -> None:
    hiding.add(pressed)
    assert hiding.masked({"op": "turn", "text": text})["text"] == masked


def test_what_the_platform_counts_by_stays_as_it_is(hiding: Hiding) -> None:
    hiding.add("2026")
    entry = {"op": "tool_call", "sequence": 2026, "idempotency_key": "a2026", "arguments": {"on": ["2026", 2026, True]}}
    assert hiding.masked(entry) == {**entry, "arguments": {"on": ["••••", "••••", True]}}
    leg = {"op": "leg", "started_at": "2026-01-05T10:00:00+00:00", "phone": "+12026550100"}
    assert hiding.masked(leg) == leg


def test_something_longer_is_hidden_whole(hiding: Hiding) -> None:
    hiding.add("1234")
    hiding.add("12345678")
    assert hiding.masked({"op": "turn", "text": "1234 and 12345678"})["text"] == "•••• and ••••••••"
