"""Journal entries as a job writes them."""

from typing import Any

AT = "2026-01-05T10:00:00+00:00"
SHA = "ab" * 32
Entry = dict[str, Any]


def turn(sequence: int, text: str = "Hello.", **fields: Any) -> Entry:
    speaker = "caller" if sequence % 2 else "agent"
    source = "speech" if sequence % 2 else "reply"
    times = {"started_ms": sequence * 2000, "ended_ms": sequence * 2000 + 1500}
    common = {"op": "turn", "sequence": sequence, "speaker": speaker, "text": text, "source": source, **times}
    return common | {"interrupted": False, "language": "en", "metrics": {}} | fields


def metrics(sequence: int, **measured: float) -> Entry:
    return {"op": "turn_metrics", "sequence": sequence, "metrics": measured}


def usage(quantity: float, *, kind: str = "llm", unit: str = "input_token", provider: str = "acme", model: str = "m1") -> Entry:
    return {"op": "usage", "kind": kind, "provider": provider, "model": model, "unit": unit, "quantity": quantity}


def tool_call(sequence: int = 0, **fields: Any) -> Entry:
    common = {"op": "tool_call", "sequence": sequence, "key": "take_message", "arguments": {"name": "Ann"}, "status": "ok"}
    return common | {"output": "noted", "started_ms": 10, "duration_ms": 5, "idempotency_key": f"k{sequence}"} | fields


def message(**fields: Any) -> Entry:
    common = {"op": "message", "key": "m1", "caller_name": "Ann Lee", "phone": "555 0100", "reason": "Call back."}
    return common | {"urgent": False, "at": AT} | fields


def event(kind: str = "fallback", at: str = AT, **data: Any) -> Entry:
    return {"op": "event", "kind": kind, "at": at, "data": data}


def hand_over(**data: Any) -> Entry:
    desk, doctor = {"id": "tgt_1", "name": "Front desk"}, {"id": "tgt_2", "name": "Dr. Park"}
    tried = [{**doctor, "outcome": "busy"}, {**desk, "outcome": "joined"}]
    return event("hand_over", **{"reason": "complaint", "summary": "A bill.", "target": desk, "tried": tried} | data)


def spooled(path: str = "/spool/call.ogg", *, sha256: str = SHA, size: int = 10) -> Entry:
    return {"op": "recording", "state": "spooled", "path": path, "duration_ms": 900, "size": size, "sha256": sha256}


def began(at: str = AT) -> Entry:
    return {"op": "status", "to": "in_progress", "at": at}


def ended(disposition: str = "completed", reason: str = "end_call", at: str = AT) -> Entry:
    return {"op": "status", "to": "ended", "at": at, "disposition": disposition, "ended_reason": reason}


def finalize(at: str = AT) -> Entry:
    return {"op": "finalize", "at": at}


def answered_by(who: str, at: str = AT) -> Entry:
    return {"op": "answered_by", "who": who, "at": at}
