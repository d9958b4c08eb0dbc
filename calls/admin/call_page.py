"""What the page of one call shows, read in a fixed number of queries."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from agents.admin.differences import in_words, readable
from agents.tools import TOOLS
from calls.admin import happenings, recordings, timeline, transcript, waterfall
from calls.admin.explain import explain
from calls.admin.recording_states import standing
from calls.admin.states import TALKING, state_badge
from calls.admin.steering import present_context
from calls.models import Call, CallCommand, CallEvent, Leg, Message, Recording, ToolCall
from calls.services.recordings import CONSENT
from tenants.display import clock, duration
from tenants.models import UsageRecord

EVENTS_SHOWN = 300
LIVE_TURNS = 40
ANSWERS_PER_PAGE = 40


def page_context(call: Call, *, may_listen: bool, user_id: UUID) -> dict[str, Any]:
    turns = transcript.timings(call)
    used = tools_of(call)
    tools = [_tool(tool) for tool in used]
    recording = Recording.objects.filter(call=call).first()
    events = list(CallEvent.objects.filter(call=call)[:EVENTS_SHOWN])
    context = {
        **head_context(call),
        "tools": tools,
        "legs": list(Leg.objects.filter(call=call)),
        "calls_messages": list(Message.objects.filter(call=call)),
        "recording": recording,
        "standing": standing(recording) if recording else None,
        "audio_url": _audio_url(call, recording, user_id) if may_listen else "",
        "may_listen": may_listen,
        "timeline": timeline.draw(
            turns=turns,
            tools=[tool["row"].started_ms for tool in tools],
            duration_ms=recording.duration_ms if recording and recording.duration_ms else _length_ms(call),
        ),
        "turn_count": len(turns),
        "formats": [("text", "Text"), ("json", "JSON"), ("srt", "SRT"), ("vtt", "VTT")],
        "turn_index": transcript.index(turns),
        "pages": transcript.page_numbers(len(turns)),
        "events": [_event(event, call) for event in events],
        "consent": next((happenings.told(event)[0] for event in events if event.kind == CONSENT), ""),
        **transcript.page_of(call, number=0),
        **waterfall_context(turns, tools=used, page=0),
        **cost_context(call),
        **snapshot_context(call),
    }
    return context if call.status == Call.Status.ENDED else {**context, **live_context(call)}


def tools_of(call: Call) -> list[ToolCall]:
    return list(ToolCall.objects.filter(call=call))


def head_context(call: Call) -> dict[str, Any]:
    return {
        "call": call,
        "zone": call.tenant.timezone,
        "state": state_badge(call),
        "reason": explain(call),
        "is_open": call.status != Call.Status.ENDED,
        "lasted": duration(_length_s(call)),
        "variables": [(name, in_words(value)) for name, value in call.variables.items()],
        "metadata": [(name, in_words(value)) for name, value in call.metadata.items()],
        "overrides": [(name.replace("_", " "), in_words(value)) for name, value in call.overrides.items()],
    }


def live_context(call: Call) -> dict[str, Any]:
    return {
        **head_context(call),
        **present_context(call),
        "live_entries": transcript.latest(call, count=LIVE_TURNS),
        "hang_up_asked": CallCommand.objects.filter(call=call, kind=CallCommand.Kind.HANG_UP).first(),
    }


def waterfall_context(turns: Sequence[Mapping[str, Any]], *, tools: Sequence[ToolCall], page: int) -> dict[str, Any]:
    ended_ms = [tool.started_ms + (tool.duration_ms or 0) for tool in tools if tool.started_ms is not None]
    everything = waterfall.answers(turns, tools_ended_ms=ended_ms)
    shown = everything[page * ANSWERS_PER_PAGE : (page + 1) * ANSWERS_PER_PAGE]
    more = len(everything) > (page + 1) * ANSWERS_PER_PAGE
    return {
        "waterfall": waterfall.draw(shown, everything),
        "stages": waterfall.STAGES,
        "next_waterfall_page": page + 1 if more else None,
        "answers": len(everything),
    }


def cost_context(call: Call) -> dict[str, Any]:
    lines = list(
        UsageRecord.objects.filter(subject_type="call", subject_id=call.pk).order_by("kind", "provider", "model", "unit", "id")
    )
    return {
        "cost_lines": lines,
        "cost_sum": sum((line.cost for line in lines if line.cost is not None), Decimal()),
        "unpriced": call.cost_missing,
    }


def snapshot_context(call: Call) -> dict[str, Any]:
    body = call.snapshot.body
    tools = [
        (TOOLS[tool["key"]].title if tool["key"] in TOOLS else tool["key"], in_words(tool["config"]) if tool["config"] else "")
        for tool in body.get("tools", [])
    ]
    return {"snapshot_sections": readable(body.get("settings", {})), "snapshot_tools": tools}


def _tool(tool: ToolCall) -> dict[str, Any]:
    tones = {ToolCall.Status.OK: "success", ToolCall.Status.REFUSED: "warning", ToolCall.Status.ERROR: "danger"}
    return {
        "row": tool,
        "title": TOOLS[tool.key].title if tool.key in TOOLS else tool.key,
        "tone": tones[ToolCall.Status(tool.status)],
        "arguments": [(name.replace("_", " "), in_words(value)) for name, value in tool.arguments.items()],
        "told": _told(tool.output),
        "at": clock(tool.started_ms),
    }


def _told(output: str) -> list[tuple[str, str]]:
    """What a tool told the agent, name by name; whether it went well is told by its status."""
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return [("answer", output)] if output else []
    return [(name.replace("_", " "), in_words(value)) for name, value in answer.items() if name != "ok"]


def _event(event: CallEvent, call: Call) -> dict[str, Any]:
    since = call.answered_at or call.created_at
    title, data = happenings.told(event)
    return {"row": event, "title": title, "offset": (event.at - since).total_seconds(), "data": data}


def _audio_url(call: Call, recording: Recording | None, user_id: UUID) -> str:
    if recording is None or recording.state != Recording.State.STORED:
        return ""
    return recordings.signed_url(reverse("admin:calls_call_recording", args=[call.pk]), call=call, user_id=user_id)


def _length_s(call: Call) -> float | None:
    if call.status in TALKING and call.answered_at:
        return (timezone.now() - call.answered_at).total_seconds()
    return call.duration_s if call.answered_at else None


def _length_ms(call: Call) -> int | None:
    seconds = _length_s(call)
    return int(seconds * 1000) if seconds else None
