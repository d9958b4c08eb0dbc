"""An agent's tools: what its version was granted and its tenant may use, under the platform's own checks.

The framework passes a model's arguments on as they come, so everything is checked here, at each use anew.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from livekit.agents import RunContext
from livekit.agents.llm import RawFunctionTool, ToolResult, function_tool

from agents.tools import HAND_OVER, TOOLS, ToolSpec, offered
from agents.transfers import TransferPolicy
from voice_worker.snapshot import Grant
from voice_worker.tools import end_call, hand_over_to_person, pause_recording, press_digits, resume_recording, take_message
from voice_worker.tools.arguments import BadArgumentsError, checked
from voice_worker.tools.base import Desk, Result, Tool, Use, refused

logger = structlog.get_logger(__name__)

MOST_USES: Final = 12
_SHOWN: Final = 500

IMPLEMENTATIONS: Final[Mapping[str, Tool]] = {
    "end_call": end_call.use,
    "hand_over_to_person": hand_over_to_person.use,
    "pause_recording": pause_recording.use,
    "press_digits": press_digits.use,
    "resume_recording": resume_recording.use,
    "take_message": take_message.use,
}
_QUESTIONS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {"take_message": take_message.ask_for}

_OFF: Final = "I am sorry, I cannot do that at the moment."
_BUDGET: Final = "I am sorry, I cannot do that again in this call."
_PAUSED: Final = "I cannot write that down while the recording is paused."
_FAILED: Final = "I am sorry, that did not work."
_CUT_OFF: Final = "The call ended while this was under way; whether it took effect is not known."


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Where tools act. With `backend_decides` they need their tenant's feature besides the grant.

    `transfers` says whom the caller may be handed to; where there is nobody, the tool for that is not offered.
    """

    call_id: UUID
    desk: Desk
    backend_decides: bool
    transfers: TransferPolicy = field(default_factory=TransferPolicy)

    def allowed(self, grants: Sequence[Grant]) -> list[Grant]:
        """The granted tools that may be used now."""
        usable = [grant for grant in grants if grant.key in TOOLS and self.is_on(TOOLS[grant.key])]
        return [grant for grant in usable if grant.key != HAND_OVER.key or self.transfers.targets]

    def is_on(self, spec: ToolSpec) -> bool:
        return spec.feature_key is None or not self.backend_decides or self.desk.feature(spec.feature_key) is not None


def build_tools(grants: Sequence[Grant], *, box: Toolbox) -> list[RawFunctionTool]:
    counter = _Counter()
    return [
        _Guarded(offered(grant.key, box.transfers), grant=grant, box=box, counter=counter).as_tool()
        for grant in box.allowed(grants)
    ]


class _Counter:
    """Numbers the uses of all tools of a call."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last += 1
        return self._last


class _Guarded:
    def __init__(self, spec: ToolSpec, *, grant: Grant, box: Toolbox, counter: _Counter) -> None:
        self._spec = spec
        self._grant = grant
        self._box = box
        self._counter = counter
        self._memory: dict[str, Any] = {}
        self._uses = 0
        self._running = asyncio.Lock()

    def as_tool(self) -> RawFunctionTool:
        schema = {"name": self._spec.key, "description": self._spec.description, "parameters": dict(self._spec.parameters)}

        async def handler(raw_arguments: dict[str, object], ctx: RunContext) -> ToolResult:
            return await self._use(raw_arguments, ctx)

        return function_tool(handler, raw_schema=schema)

    async def _use(self, given: object, ctx: RunContext) -> ToolResult:
        number, began, at_ms = self._counter.next(), time.monotonic(), self._box.desk.now_ms()
        kept = self._kept(given)
        result = Result(status="error", output={"ok": False, "error": _CUT_OFF})
        try:
            async with self._running:
                result = await self._decide(given, ctx)
        finally:
            self._box.desk.append(
                {
                    "op": "tool_call",
                    "sequence": number,
                    "key": self._spec.key,
                    "arguments": kept,
                    "status": result.status,
                    "output": json.dumps(result.output, ensure_ascii=False),
                    "started_ms": at_ms,
                    "duration_ms": round((time.monotonic() - began) * 1000),
                    "idempotency_key": self._key(given),
                }
            )
        return ToolResult(json.dumps(result.output, ensure_ascii=False), reply_required=result.reply)

    async def _decide(self, given: object, ctx: RunContext) -> Result:
        if obstacle := self._obstacle():
            return obstacle
        try:
            values, missing = checked(given, schema=self._spec.parameters)
        except BadArgumentsError as error:
            return refused(error=str(error))
        if missing:
            ask = _QUESTIONS.get(self._spec.key)
            return refused(missing=missing, **({"say": ask(missing)} if ask else {}))
        self._uses += 1
        if self._uses > MOST_USES:
            return refused(error="This tool was used too often in this call.", say=_BUDGET)
        use = Use(desk=self._box.desk, config=self._grant.config, memory=self._memory, speech=ctx.speech_handle)
        return await self._run(values, use)

    def _obstacle(self) -> Result | None:
        """Why the tool may not be used now, whatever it is given."""
        if self._box.desk.is_silenced():
            return refused(error="A person of the staff has the floor: do nothing.")
        if not self._box.is_on(self._spec):
            return refused(error="This tool has been switched off.", say=_OFF)
        if self._spec.keeps_words and self._box.desk.is_paused:
            return refused(error="The recording is paused: nothing that is said may be kept. Resume it first.", say=_PAUSED)
        return None

    async def _run(self, values: Mapping[str, Any], use: Use) -> Result:
        try:
            async with asyncio.timeout(self._spec.longest_s):
                return await IMPLEMENTATIONS[self._spec.key](values, use)
        except Exception as error:
            logger.exception("a tool failed", tool=self._spec.key)
            return Result(status="error", output={"ok": False, "error": type(error).__name__, "say": _FAILED})

    def _kept(self, given: object) -> dict[str, Any]:
        kept = _shown(given)
        if not self._spec.presses_keys:
            return kept
        return {name: self._box.desk.show_keys(str(value)) for name, value in kept.items()}

    def _key(self, given: object) -> str:
        """The same for the same use, however often the model asks for it; it cannot be guessed back."""
        text = json.dumps([str(self._box.call_id), self._spec.key, given], sort_keys=True, default=repr)
        secret = settings.SECRET_KEY.encode()
        return hmac.new(secret, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:40]


def _shown(given: object) -> dict[str, Any]:
    """Arguments as they are kept: whatever a model made up must not fill the database."""
    if not isinstance(given, Mapping):
        return {"": repr(given)[:_SHOWN]}
    kept = {str(name)[:80]: value for name, value in list(given.items())[:20]}
    return {
        name: value if len(json.dumps(value, default=repr)) <= _SHOWN else repr(value)[:_SHOWN] for name, value in kept.items()
    }
