"""Pressing keys of the phone, for menus and extensions; nothing is said about it."""

import re
from typing import Final

from voice_worker.keys import SPACING_S, WAIT, WAIT_S, NoKeysError
from voice_worker.tools.base import Arguments, Result, Use, refused
from voiceplatform.lib.digits import KEYS

_LONGEST_S: Final = 8.0


async def use(arguments: Arguments, use: Use) -> Result:
    digits = re.sub(r"[\s-]", "", str(arguments["digits"]))
    if not KEYS.fullmatch(digits):
        return refused(error="digits must be 1 to 32 of 0-9, *, # and w, which waits half a second.")
    if len(digits) * SPACING_S + digits.count(WAIT) * WAIT_S > _LONGEST_S:
        return refused(error=f"These keys take longer than {_LONGEST_S:g} seconds. Press fewer at once.")
    try:
        await use.desk.press_keys(digits)
    except NoKeysError:
        return refused(error="Keys can be pressed in phone calls only.")
    return Result(status="ok", output={"ok": True}, reply=False)
