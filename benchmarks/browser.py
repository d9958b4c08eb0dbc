"""Calls from a browser, on the page where staff talk to an agent: from the click to the agent's first sound, and how long
its answers take, against the same conversation without a browser, a network or a LiveKit server."""

import argparse
import asyncio
import os
import sys
import tempfile
import wave
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import numpy as np
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import Client
from django.urls import reverse

from agents.models import Agent
from agents.testing import make_agent
from benchmarks.calls import hold_call, make_job, prepare_database
from benchmarks.chromium import Chromium, with_microphone
from benchmarks.ends import ScriptedEnds
from benchmarks.report import Report, median, percentile
from benchmarks.telephone_rig import wait_for
from calls.models import Call, Turn
from calls.resolving import scope_of_call
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from tests.livekit.platform import Worker
from voice_worker.audio import RATE, Int16Array
from voice_worker.pipeline import build_stages
from voice_worker.simulation.noise import SPEECH_RMS, at_level, trimmed
from voice_worker.simulation.speech import SpeechClient
from voiceplatform.embedded.livekit import client, program
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

RATIO: Final = 1.15
SAYS: Final = "Hello, what time do you open on Saturday?"
GREETING: Final = "Hello there."
SETTINGS: Final = {"opening": {"greeting": GREETING}, "limits": {"silence_prompt_after_s": 60}}
VOICE: Final = "robin"
_BEFORE_S, _AFTER_S = 5.0, 5.0
_CAPTURED = 48_000
_EARS: Final = Path(__file__).with_name("browser_ears.js")
_COLD = 1


@dataclass(slots=True)
class Found:
    """Milliseconds. `heard`: from the caller's last sound to the agent's first, where the caller is; `kept`: by the ledger."""

    clicks: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rig:
    """The platform, and a page on which a call begins."""

    page: str
    cookie: dict[str, str]
    tenant: Tenant
    sound: Path


# -- in the browser ------------------------------------------------------------------------------------------------


async def click_and_leave(rig: Rig, *, calls: int) -> list[float]:
    """How long after each click the agent was heard; the first one, for which everything is loaded, does not count."""
    took = []
    async with Chromium(with_microphone(rig.sound)) as browser:
        await _open(browser, rig)
        for _ in range(calls + _COLD):
            took.append(await _begin(browser))
            await _leave(browser)
    return took[_COLD:]


async def converse(rig: Rig, *, calls: int, turns: int) -> Found:
    """The caller's words are said again and again, as the browser plays its microphone's file."""
    found = Found()
    for _ in range(calls):
        async with Chromium(with_microphone(rig.sound)) as browser:
            await _open(browser, rig)
            found.clicks.append(await _begin(browser))
            await browser.until(f"gaps().length >= {turns}", seconds=30 + 20 * turns)
            found.heard += (await browser.value("gaps()"))[:turns]
            await _leave(browser)
        call = await sync_to_async(_latest)(rig.tenant)
        found.kept += (await sync_to_async(kept_gaps)(call.pk))[:turns]
    return found


async def _open(browser: Chromium, rig: Rig) -> None:
    await browser.tell("Network.setCookie", **rig.cookie)
    await browser.tell("Page.addScriptToEvaluateOnNewDocument", source=_EARS.read_text())
    await browser.go(rig.page)
    await browser.until("document.documentElement.dataset.phase === 'ready'")


async def _begin(browser: Chromium) -> float:
    await browser.click("[data-talk]")
    return float(await browser.until("document.documentElement.dataset.heardMs", seconds=30))


async def _leave(browser: Chromium) -> None:
    await browser.click("[data-hang-up]")
    await browser.until("document.documentElement.dataset.phase === 'over'")
    await browser.value("delete document.documentElement.dataset.heardMs")
    await asyncio.sleep(1)


def _latest(tenant: Tenant) -> Call:
    with tenant_scope(tenant):
        call = Call.objects.filter(kind="web").latest("created_at")
        wait_for(lambda: Call.objects.get(pk=call.pk).finalized_at, seconds=30, what="the end of a call")
        return call


# -- in process ----------------------------------------------------------------------------------------------------


def in_process(pcm: Int16Array, *, calls: int, turns: int) -> Found:
    found = Found()

    async def script(ends: ScriptedEnds) -> list[float]:
        heard = []
        for _ in range(turns):
            await asyncio.sleep(_BEFORE_S)
            spoken = (await ends.say(pcm)).ended_at or 0.0
            await asyncio.sleep(_AFTER_S)
            heard += [(at - spoken) * 1000 for at in ends.audible if at > spoken][:1]
        return heard

    for _ in range(calls):
        job = make_job(settings=SETTINGS)
        heard, _ = asyncio.run(hold_call(job, stages=build_stages, script=script))
        found.heard += heard
        found.kept += kept_gaps(job.call_id)
    return found


def kept_gaps(call_id: UUID) -> list[float]:
    with scope_of_call(call_id):
        turns = Turn.objects.filter(call_id=call_id, speaker=Turn.Speaker.AGENT).order_by("sequence")
        return [turn.metrics["response_gap"] for turn in turns if "response_gap" in turn.metrics]


# -- the platform --------------------------------------------------------------------------------------------------


async def spoken() -> Int16Array:
    speech = SpeechClient(settings.VP_SPEECH_URL)
    try:
        return at_level(trimmed(await speech.synthesize(SAYS, voice=VOICE, speed=1.0)), SPEECH_RMS)
    finally:
        await speech.aclose()


def write_sound(path: Path, pcm: Int16Array) -> None:
    """With silence around it, at the rate of a sound card."""
    quiet = [np.zeros(round(seconds * RATE), np.int16) for seconds in (_BEFORE_S, _AFTER_S)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_CAPTURED)
        file.writeframes(np.repeat(np.concatenate([quiet[0], pcm, quiet[1]]), _CAPTURED // RATE).tobytes())


def start_platform(stack: ExitStack, folder: Path) -> Supervisor:
    """Web, broker, LiveKit and Celery, which has the calls begin, on the database of this benchmark."""
    names = ("PATH", "HOME", "LIVEKIT_SERVER_BIN", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    values = {name: os.environ[name] for name in names if name in os.environ}
    if program.find(values) is None:
        sys.exit(program.HOW_TO_GET_IT)
    if not client.is_here(client.Lock.read()):
        sys.exit("LiveKit's program for browsers is not here. Mend: make livekit-client")
    values |= {"SECRET_KEY": settings.SECRET_KEY, "LOG_LEVEL": "WARNING"}
    platform = stack.enter_context(Supervisor(folder, SERVICES, values=values))
    platform.start(["valkey", "web", "livekit", "celery"])
    stack.enter_context(Worker(platform, VP_TEST_HEARS=f'["{SAYS}"]'))
    return platform


def make_rig(platform: Supervisor, *, sound: Path) -> Rig:
    slug = f"benchmark-{uuid4().hex[:12]}"
    tenant = create_tenant(name=slug, slug=slug)
    with tenant_scope(tenant):
        agent: Agent = make_agent(settings=SETTINGS)
    staff = Client()
    staff.force_login(User.objects.create_superuser(username=slug))
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": staff.cookies[settings.SESSION_COOKIE_NAME].value}
    url = platform.urls["web"]
    page = url + reverse("admin:agents_agent_talk", args=[agent.pk])
    return Rig(page=page, cookie={**cookie, "url": url}, tenant=tenant, sound=sound)


# -- all of it -----------------------------------------------------------------------------------------------------


def report_on(clicks: Sequence[float], browser: Found, process: Found) -> Report:
    report = Report("browser")
    report.add("click → agent heard, p50 / p95", f"{median(clicks):.0f} / {percentile(clicks, 95):.0f}", "ms")
    report.add("  in a browser just started, p50", median(browser.clicks), "ms")
    _compare(report, "response gap", browser.kept, process.kept, target=RATIO)
    _compare(report, "  heard by the caller", browser.heard, process.heard)
    report.notes.append(f"{len(clicks)} clicks; gaps: {len(browser.heard)} in the browser, {len(process.heard)} in process")
    report.notes.append(
        "a response gap is the ledger's, as each turn shows it; the caller also waits for the sound on its way, there and back"
    )
    report.notes.append("recognition, language model and voice answer at once, so that whatever else takes time weighs most")
    report.details = {"clicks_ms": list(clicks), "browser": asdict(browser), "process": asdict(process)}
    return report


def _compare(report: Report, what: str, browser: Sequence[float], process: Sequence[float], *, target: float = 0.0) -> None:
    ratio = median(browser) / median(process)
    for where, gaps in (("browser", browser), ("in process", process)):
        report.add(f"{what}, {where}, p50 / p95", f"{median(gaps):.0f} / {percentile(gaps, 95):.0f}", "ms")
    if target:
        report.add(f"{what}, ratio of medians", ratio, "×", target=f"≤ {target}", ok=ratio <= target)
    else:
        report.add(f"{what}, ratio of medians", ratio, "×")


def run(*, clicks: int, calls: int, turns: int) -> Report:
    pcm = asyncio.run(spoken())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vp-")))
        rig = make_rig(start_platform(stack, folder), sound=folder / "caller.wav")
        write_sound(rig.sound, pcm)
        took = asyncio.run(click_and_leave(rig, calls=clicks))
        browser = asyncio.run(converse(rig, calls=calls, turns=turns))
    return report_on(took, browser, in_process(pcm, calls=calls, turns=turns))


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.browser", description=__doc__)
    parser.add_argument("--clicks", type=int, default=20, help="calls that end once the agent was heard")
    parser.add_argument("--calls", type=int, default=5, help="conversations, and as many without a browser")
    parser.add_argument("--turns", type=int, default=3, help="answers in each")
    options = parser.parse_args()
    prepare_database()
    return run(clicks=options.clicks, calls=options.calls, turns=options.turns).publish()


if __name__ == "__main__":
    sys.exit(main())
