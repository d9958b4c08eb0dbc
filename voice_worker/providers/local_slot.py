"""Where in the local model's memory a conversation lives: text that was read once is found again only in its slot.

Left to itself the server gives a request whichever slot is idle. A caller who goes on while an answer is being broken off
would get another one, and wait until the instructions have been read anew.
"""

import contextlib
import socket
from urllib.parse import urlsplit

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=3)


class Slot:
    """The lowest slot that no other conversation on this machine has, until it is freed or the process ends."""

    def __init__(self, *, url: str) -> None:
        """`url` is the server's, without a path."""
        self._url = url
        self._held: socket.socket | None = None
        self._asked = False
        self._number: int | None = None

    async def number(self) -> int | None:
        """None when all are taken or the server has none: it chooses then."""
        if not self._asked:
            self._asked = True
            self._number = next((number for number in range(await self._count()) if self._take(number)), None)
        return self._number

    def free(self) -> None:
        held, self._held = self._held, None
        if held:
            held.close()

    async def _count(self) -> int:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(f"{self._url}/slots") as answer:
                slots = await answer.json(content_type=None)
                return len(slots) if isinstance(slots, list) else 0
        return 0

    def _take(self, number: int) -> bool:
        """An abstract socket name belongs to one process, and the kernel frees it with the process."""
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0voiceplatform-brain-{urlsplit(self._url).port}-{number}")
        except OSError:
            holder.close()
            return False
        self._held = holder
        return True
