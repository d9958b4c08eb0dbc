"""Builder for OpenAI's language models and servers that speak their protocol."""

import httpx2 as httpx
from django.conf import settings
from livekit.agents import NOT_GIVEN, llm
from livekit.plugins import openai

from voice_worker.providers.base import StageSettings, require

_REASONING = ("gpt-5", "gpt-6", "o1", "o3", "o4")
_TIMEOUT = httpx.Timeout(connect=5.0, read=15.0, write=5.0, pool=5.0)


def build_llm(stage: StageSettings) -> llm.LLM:
    """`base_url` is for a compatible server."""
    key = require(name="OPENAI_API_KEY", value=settings.OPENAI_API_KEY, provider="OpenAI")
    # Models that reason refuse a temperature.
    fixed = stage.model.startswith(_REASONING)
    return openai.LLM(
        model=stage.model,
        api_key=key,
        base_url=stage.options.get("base_url") or NOT_GIVEN,
        temperature=NOT_GIVEN if fixed else float(stage.options.get("temperature", 0.0)),
        max_completion_tokens=int(stage.options.get("max_output_tokens", 220)),
        timeout=_TIMEOUT,
    )
