"""From a version's settings to a session: who hears, thinks and speaks, and who has the floor."""

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    APIConnectOptions,
    ModelSettings,
    StopResponse,
    inference,
    llm,
    stt,
    tts,
)
from livekit.agents.voice.agent_session import SessionConnectOptions

from agents.pipeline import Brain, Hearing, Speaking, TurnTaking, VersionSettings
from voice_worker.endpointing import PhraseDetector
from voice_worker.floor import Floor
from voice_worker.listening import Filtered, NearVAD
from voice_worker.providers import registry
from voice_worker.providers.base import ProviderConfigError, StageSettings

# A retry is silence for the caller; behind these stand the fallbacks and the apology.
_PATIENCE: Final = APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=10.0)
_CONNECTING: Final = SessionConnectOptions(
    stt_conn_options=_PATIENCE, llm_conn_options=_PATIENCE, tts_conn_options=_PATIENCE, max_unrecoverable_errors=3
)
_TOOL_STEPS: Final = 3


class ModelMissingError(ProviderConfigError):
    """A model on this machine that the call needs is not running."""


@dataclass(frozen=True, slots=True)
class Stages:
    stt: stt.STT
    llm: llm.LLM
    tts: tts.TTS

    async def aclose(self) -> None:
        await asyncio.gather(self.stt.aclose(), self.llm.aclose(), self.tts.aclose(), return_exceptions=True)


StagesBuilder = Callable[[VersionSettings], Coroutine[Any, Any, Stages]]
MindBuilder = Callable[[VersionSettings], Coroutine[Any, Any, llm.LLM]]


async def build_stages(settings: VersionSettings) -> Stages:
    """Raises ProviderConfigError, with what is missing and how to mend it."""
    brain, hearing, speaking = _brain(settings.brain), _hearing(settings.hearing), _speaking(settings)
    built = Stages(stt=registry.build_stt(hearing), llm=registry.build_llm(brain), tts=registry.build_tts(speaking))
    try:
        await registry.check_local_servers(brain=brain, hearing=hearing, speaking=speaking)
    except ProviderConfigError as error:
        await built.aclose()
        raise ModelMissingError(str(error)) from error
    return built


def build_voice(settings: VersionSettings) -> tts.TTS:
    """The voice alone, for something that is only said. Raises ProviderConfigError."""
    return registry.build_tts(_speaking(settings))


async def build_mind(settings: VersionSettings) -> llm.LLM:
    """The one stage a chat needs. Raises ProviderConfigError, with what is missing and how to mend it."""
    brain = _brain(settings.brain)
    built = registry.build_llm(brain)
    try:
        await registry.check_local_servers(brain=brain)
    except ProviderConfigError as error:
        await built.aclose()
        raise ModelMissingError(str(error)) from error
    return built


def _brain(brain: Brain) -> StageSettings:
    options = {"temperature": brain.temperature, "max_output_tokens": brain.max_output_tokens}
    return _stage(brain, options=options, fallback_options=options)


def _hearing(hearing: Hearing) -> StageSettings:
    options = {"language": hearing.language}
    return _stage(hearing, options=options, fallback_options=options)


def _speaking(settings: VersionSettings) -> StageSettings:
    speaking = settings.speaking
    shared = {"speed": speaking.speed, "language": settings.hearing.language}
    return _stage(
        speaking,
        options={**shared, "voice": speaking.voice},
        fallback_options={**shared, "voice": speaking.fallback_voice},
    )


def _stage(section: Brain | Hearing | Speaking, *, options: dict[str, Any], fallback_options: dict[str, Any]) -> StageSettings:
    fallbacks: tuple[StageSettings, ...] = ()
    if section.fallback_provider:
        fallbacks = (StageSettings(provider=section.fallback_provider, model=section.fallback_model, options=fallback_options),)
    return StageSettings(provider=section.provider, model=section.model, options=options, fallbacks=fallbacks)


def open_session(stages: Stages, *, turn_taking: TurnTaking) -> AgentSession[None]:
    detector = inference.VAD(min_silence_duration=turn_taking.vad_silence_s)
    return AgentSession(
        stt=stages.stt,
        llm=stages.llm,
        tts=stages.tts,
        vad=NearVAD(detector),
        turn_handling={
            "turn_detection": PhraseDetector(),
            "endpointing": {
                "mode": "fixed",
                "min_delay": turn_taking.min_endpointing_delay_s,
                "max_delay": turn_taking.max_endpointing_delay_s,
            },
            "interruption": {
                "enabled": turn_taking.interruptible,
                # "adaptive" needs LiveKit's cloud.
                "mode": "vad",
                "min_duration": turn_taking.min_interruption_s,
                "min_words": 0,
                "resume_false_interruption": True,
                "false_interruption_timeout": turn_taking.resume_after_false_interruption_s,
            },
            # The words are known only when the turn is nearly over, so there is little to win and every miss is paid for.
            "preemptive_generation": {"enabled": False},
        },
        max_tool_steps=_TOOL_STEPS,
        # During its warm-up, what the caller says is thrown away.
        aec_warmup_duration=None,
        user_away_timeout=None,
        conn_options=_CONNECTING,
    )


def open_written_session(model: llm.LLM) -> AgentSession[None]:
    return AgentSession(llm=model, max_tool_steps=_TOOL_STEPS, user_away_timeout=None, conn_options=_CONNECTING)


class CallAgent(Agent):
    """The agent of a call. What the caller only says to show attention does not reach the model.

    While others have the floor it answers nothing, and remembers what was said; `overheard` is told of it.
    """

    def __init__(
        self,
        *,
        instructions: str,
        tools: Sequence[llm.Tool],
        filtered: Filtered,
        floor: Floor,
        overheard: Callable[[llm.ChatMessage], None],
    ) -> None:
        super().__init__(instructions=instructions, tools=list(tools))
        self._filtered = filtered
        self._floor = floor
        self._overheard = overheard

    async def remember(self, text: str) -> None:
        """The model knows that this was said, and is not asked to answer it."""
        if text:
            context = self.chat_ctx.copy()
            context.add_message(role="user", content=text)
            await self.update_chat_ctx(context)

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        if self._floor.is_agents:
            return
        self._overheard(new_message)
        await self.remember(new_message.text_content or "")
        raise StopResponse

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[stt.SpeechEvent | str]:
        events = Agent.default.stt_node(self, audio, model_settings)
        async for event in self._filtered.run(events):
            yield event
