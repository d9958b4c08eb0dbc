"""Nothing of what is said from here on is recorded or written down."""

from voice_worker.tools.base import Arguments, Result, Use, ok, refused


async def use(_arguments: Arguments, use: Use) -> Result:
    if not use.desk.pause_recording():
        return refused(error="Only spoken calls can be paused.")
    return ok(paused=True)
