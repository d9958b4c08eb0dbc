"""One whole call with real speech and a real language model on both sides of the line."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from agents.models import Agent
from agents.personas import HOURS_AND_MESSAGE
from calls.models import Call, Turn
from calls.resolving import scope_of_call
from calls.services import place_call
from calls.services.hosts import register_host
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voice_worker.checking import checked_call
from voice_worker.entrypoint import Job, run_call
from voice_worker.far_ends import persona_ends, persona_log
from voice_worker.simulation.check import Result, check
from voice_worker.simulation.log import read_log
from voice_worker.simulation.speech import SpeechClient
from voiceplatform.demo.seed import TENANT_SLUG, seed_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]


CALLS = 2
"""One call in ten or so goes wrong with so small a model (`make bench ARGS=conversation`); two in a row are a defect."""


@pytest.fixture
def agent(default_rates: None, settings: Any, tmp_path: Path) -> Agent:
    """The demo tenant's receptionist, with a spool and a file store of the test's own."""
    assert settings.VP_BRAIN_URL, "run through `make test-slow`"
    assert settings.VP_SPEECH_URL, "run through `make test-slow`"
    settings.VP_HOME, settings.VP_SPOOL, settings.VP_FILES = tmp_path, tmp_path / "spool", tmp_path / "files"
    recordings = {**settings.STORAGES["recordings"], "OPTIONS": {"location": tmp_path / "recordings"}}
    settings.STORAGES = {**settings.STORAGES, "recordings": recordings}
    seeded = seed_demo(llm="local", small_brain=settings.VP_BRAIN == "small")
    with tenant_scope(Tenant.objects.get(slug=TENANT_SLUG)):
        return Agent.objects.get(pk=seeded.agent_id)


def place(agent: Agent) -> Job:
    with tenant_scope(agent.tenant):
        host = register_host(name="real-call", transport="local", slots=1)
        call = place_call(agent=agent, kind=Call.Kind.SIMULATED, persona=HOURS_AND_MESSAGE.key, host=host)
    return Job(call_id=call.pk, job_id=f"real-{call.pk}", host_id=host.pk)


def test_a_caller_gets_what_they_want_and_the_check_holds(agent: Agent) -> None:
    told = []
    for _ in range(CALLS):
        job = place(agent)
        asyncio.run(run_call(job, ends=persona_ends()))
        if not (wrong := problems(job)):
            return
        told += [*wrong, transcript(job)]
    pytest.fail("\n".join(told))


def problems(job: Job) -> list[str]:
    missed = [f"missed: {goal}" for goal in read_log(persona_log(job.call_id)).missed]
    with checked_call(job.call_id) as call:
        results = asyncio.run(heard_afresh(partial(check, call)))
        taken = [(row.caller_name, digits(row.phone)) for row in call.messages]
    wrong = [f"{result.name}: {result.detail}" for result in results if not result.ok]
    return missed + wrong + ([] if taken == [(HOURS_AND_MESSAGE.name, HOURS_AND_MESSAGE.phone)] else [f"messages: {taken}"])


async def heard_afresh(run: Any) -> Sequence[Result]:
    client = SpeechClient(django_settings.VP_SPEECH_URL)
    try:
        return (await run(client.transcribe)).results
    finally:
        await client.aclose()


def digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def transcript(job: Job) -> str:
    with scope_of_call(job.call_id):
        call = Call.objects.get(pk=job.call_id)
        lines = [f"{turn.speaker}: {turn.text}" for turn in Turn.objects.filter(call=call).order_by("sequence")]
    return "\n".join([f"{call.disposition} ({call.ended_reason}) {call.ended_detail}", *lines])
