"""Personas against a rule-bound agent, with real speech both ways."""

import re
from contextlib import aclosing
from pathlib import Path

import pytest
from django.conf import settings
from livekit.agents import NOT_GIVEN, Agent, AgentSession, inference, llm

from agents.personas import CHANGES_MIND, HOURS_AND_MESSAGE, SAYS_LITTLE, Persona
from voice_worker.audio import CallClock
from voice_worker.ears import Ears
from voice_worker.providers.local_http import LocalServer
from voice_worker.providers.local_stt import LocalSTT
from voice_worker.providers.local_tts import LocalTTS
from voice_worker.recording import Recorder, RecordingResult
from voice_worker.simulation.check.words import word_error_rate
from voice_worker.simulation.ends import PersonaEnds
from voice_worker.simulation.log import LoggedCall, read_log
from voice_worker.simulation.speech import KeptSpeech, SpeechClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GREETING = "Thank you for calling Bright Smile Dental, this is Ava. How can I help you?"
RULES = (
    (r"bye|that's all", "Thank you for calling. Goodbye!"),
    (r"insurance", "I will pass that on to the dentist. Is there anything else?"),
    (r"yes|right", "Thank you. What is your message about?"),
    (r"\d.{0,5}\d.{0,5}\d|five", "I have 5 1 2, 5 5 5, 0 1 4 3. Is that right?"),
    (r"my name is", "Thank you, Maria. What is your phone number?"),
    (r"message", "Of course. May I have your name, please?"),
    (r"sunday", "On Sunday we are closed."),
    (r"saturday", "On Saturday we are open from 10 AM to 2 PM."),
    (r"week", "Monday to Friday we are open from 9 AM to 5 PM, on Saturday from 10 AM to 2 PM, and on Sunday we are closed."),
    (r"whiten", "Whitening costs 250 dollars."),
    (r"clean", "A cleaning is 90 dollars."),
    (r"check", "A check-up is 60 dollars."),
    (r"address|located", "We are at 12 Oak Street."),
    (r"hello", "Hello! How can I help you?"),
    (r"", "Sorry, could you say that again?"),
)


class RuleLLM(llm.LLM):
    def chat(self, *, chat_ctx, tools=None, conn_options=None, parallel_tool_calls=NOT_GIVEN, tool_choice=NOT_GIVEN, **more):
        return RuleStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class RuleStream(llm.LLMStream):
    async def _run(self) -> None:
        said = (self._chat_ctx.items[-1].text_content or "").lower()
        text = next(answer for pattern, answer in RULES if re.search(pattern, said))
        self._event_ch.send_nowait(llm.ChatChunk(id="rule", delta=llm.ChoiceDelta(role="assistant", content=text)))


def open_desk(server: LocalServer) -> AgentSession:
    return AgentSession(
        stt=LocalSTT(server=server, model="whisper-base-int8", language="en"),
        llm=RuleLLM(),
        tts=LocalTTS(server=server, model="piper", voice="joe", speed=1.0),
        vad=inference.VAD(min_silence_duration=0.3),
        turn_handling={
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.6, "max_delay": 2.0},
            "interruption": {"mode": "vad", "min_duration": 0.3, "false_interruption_timeout": 1.0},
        },
        aec_warmup_duration=None,
        user_away_timeout=None,
    )


async def hold_call(persona: Persona, folder: Path) -> tuple[LoggedCall, Ears, RecordingResult, AgentSession]:
    assert settings.VP_SPEECH_URL, "run through `manage.py dev --only speech`"
    clock = CallClock()
    async with aclosing(SpeechClient(settings.VP_SPEECH_URL)) as speech:
        ends = PersonaEnds(
            persona=persona,
            clock=clock,
            hearing=speech,
            speaking=KeptSpeech(speech, folder / "voice"),
            log_path=folder / "log.jsonl",
        )
        await ends.prepare()
        clock.__init__()
        ears, recorder = Ears(clock), Recorder(folder / "call.ogg", clock)
        ears.follow(ends.audio_output)
        ends.add_tap(ears)
        ends.add_tap(recorder)
        server = LocalServer(url=settings.VP_SPEECH_URL, what="speech")
        session = open_desk(server)
        session.input.audio, session.output.audio = ends.audio_input, ends.audio_output
        await session.start(Agent(instructions=""), record=False)
        await ends.start()
        session.say(GREETING)
        await ends.left.wait()
        await session.aclose()
        await server.aclose()
        ears.close()
        await ends.aclose()
        return read_log(folder / "log.jsonl"), ears, await recorder.aclose(), session


def said_by(session: AgentSession, role: str) -> str:
    return " ".join(item.text_content for item in session.history.items if item.type == "message" and item.role == role)


@pytest.mark.parametrize("persona", [HOURS_AND_MESSAGE, CHANGES_MIND, SAYS_LITTLE], ids=lambda persona: persona.key)
async def test_a_persona_reaches_its_goals(persona, tmp_path):
    log, ears, recorded, session = await hold_call(persona, tmp_path)
    assert log.missed == ()
    assert log.end["reason"] == "caller_hung_up"
    assert word_error_rate(said=" ".join(entry["text"] for entry in log.spoken), understood=said_by(session, "user")) <= 0.2
    assert recorded.error == ""
    assert recorded.duration_s == pytest.approx(log.end["at"], abs=1.5)
    stops = [turn.stop_ms for turn in ears.turns() if turn.stop_ms is not None]
    assert stops or persona is not CHANGES_MIND
