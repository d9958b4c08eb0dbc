"""Hanging up: only after the caller has heard the goodbye."""

from voice_worker.tools.base import Arguments, Result, Use


async def use(_arguments: Arguments, use: Use) -> Result:
    use.desk.hang_up_after(use.speech)
    return Result(status="ok", output={"ok": True}, reply=False)
