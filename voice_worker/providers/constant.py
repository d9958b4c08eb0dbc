"""Predictable stand-ins for all three stages: fixed words heard, tones spoken, answers by rule."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.conf import settings
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
    llm,
    stt,
    tts,
    utils,
)
from livekit.agents.types import TimedString
from livekit.agents.utils import AudioBuffer

from voice_worker.providers.base import StageSettings
from voice_worker.providers.local_messages import spoken_output

_RATE = 24_000
_CHARACTERS_PER_S = 15
_TONE_HZ, _LOUDNESS = 300.0, 6000
_CHUNK = _RATE // 10


class ConstantSTT(stt.STT):
    """Hears the given texts one after the other, then the last one for ever."""

    def __init__(self, texts: Sequence[str], *, seconds_per_word: float = 0.0) -> None:
        """With `seconds_per_word` it tells when each word was said, on a clock that began an hour ago."""
        self._pace = seconds_per_word
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._texts, self.heard = list(texts), 0

    model = property(lambda _: "constant")
    provider = property(lambda _: "test")

    async def _recognize_impl(
        self, buffer: AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        text = self._texts[min(self.heard, len(self._texts) - 1)]
        self.heard += 1
        data = stt.SpeechData(language="en", text=text, confidence=1.0, words=self._timed(text))  # type: ignore[arg-type]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, request_id=f"heard-{self.heard}", alternatives=[data])

    def _timed(self, text: str) -> list[TimedString] | None:
        if not self._pace:
            return None
        times = [(3600 + index * self._pace, 3600 + (index + 1) * self._pace) for index in range(len(text.split()))]
        return [TimedString(word, start_time=a, end_time=b) for word, (a, b) in zip(text.split(), times, strict=True)]


class ToneTTS(tts.TTS):
    """A tone as long as the text would take to say; the text may name its pitch, such as 700 Hz."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=_RATE, num_channels=1)

    model = property(lambda _: "tone")
    provider = property(lambda _: "test")

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> "Tone":
        return Tone(tts=self, input_text=text, conn_options=conn_options)


class Tone(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id=utils.shortuuid("tone_"), sample_rate=_RATE, num_channels=1, mime_type="audio/pcm")
        count = int(_RATE * max(len(self.input_text), 1) / _CHARACTERS_PER_S)
        named = re.search(r"(\d+) Hz", self.input_text)
        wave = np.sin(2 * np.pi * (float(named[1]) if named else _TONE_HZ) * np.arange(count) / _RATE) * _LOUDNESS
        pcm = wave.astype(np.int16)
        for start in range(0, count, _CHUNK):
            output_emitter.push(pcm[start : start + _CHUNK].tobytes())
        output_emitter.flush()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When `hears` is found in the caller's last words: say this, and use that tool."""

    hears: str
    say: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_RULES = (
    Rule(hears=r"\b(bye|goodbye)\b", say="Goodbye!", tool="end_call"),
    Rule(hears=r"", say="I heard you. What else can I do for you?"),
)


class RuleLLM(llm.LLM):
    """Answers by the first rule that fits; a tool that says something is repeated word for word."""

    def __init__(self, rules: Sequence[Rule] = DEFAULT_RULES, *, delay_s: float = 0.0) -> None:
        super().__init__()
        self.rules, self.delay_s = list(rules), delay_s

    model = property(lambda _: "rules")
    provider = property(lambda _: "test")

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> "RuleStream":
        return RuleStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class RuleStream(llm.LLMStream):
    async def _run(self) -> None:
        model = self._llm
        if not isinstance(model, RuleLLM):
            raise TypeError("RuleStream belongs to RuleLLM")
        await asyncio.sleep(model.delay_s)
        say, calls = self._answer(model.rules)
        request = utils.shortuuid("rule_")
        delta = llm.ChoiceDelta(role="assistant", content=say or None, tool_calls=calls)
        self._event_ch.send_nowait(llm.ChatChunk(id=request, delta=delta))
        read, written = sum(len(str(item)) for item in self._chat_ctx.items) // 4, len(say) // 4 + 1
        usage = llm.CompletionUsage(completion_tokens=written, prompt_tokens=read, total_tokens=read + written)
        self._event_ch.send_nowait(llm.ChatChunk(id=request, usage=usage))

    def _answer(self, rules: Sequence[Rule]) -> tuple[str, list[llm.FunctionToolCall]]:
        last = self._chat_ctx.items[-1] if self._chat_ctx.items else None
        if isinstance(last, llm.FunctionCallOutput):
            return spoken_output(last) or "", []
        heard = (last.text_content or "") if isinstance(last, llm.ChatMessage) else ""
        rule = next((rule for rule in rules if re.search(rule.hears, heard, re.IGNORECASE)), Rule(hears="", say="I see."))
        known = {tool.id for tool in self._tools}
        if rule.tool not in known:
            return rule.say, []
        call = llm.FunctionToolCall(name=rule.tool, arguments=json.dumps(dict(rule.arguments)), call_id=utils.shortuuid("call_"))
        return rule.say, [call]


def build_llm(stage: StageSettings) -> llm.LLM:
    """Without rules of the stage's own, by those in the settings of a test's worker."""
    rules = stage.options.get("rules") or getattr(settings, "VP_TEST_RULES", None)
    return RuleLLM([Rule(**rule) for rule in rules] if rules else DEFAULT_RULES)


def build_stt(stage: StageSettings) -> stt.STT:
    """Without texts of the stage's own, what the settings of a test's worker say is heard."""
    texts = stage.options.get("texts") or getattr(settings, "VP_TEST_HEARS", None)
    return ConstantSTT(texts or ["Hello, what time do you open?"])


def build_tts(stage: StageSettings) -> tts.TTS:
    return ToneTTS()
