"""A browser without a window, driven over its DevTools protocol."""

import asyncio
import base64
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_IT: Final = "There is no Chromium. Mend: install the package chromium, which Debian and others have."
_STARTS_S, _ANSWERS_S = 30.0, 30.0
_ALWAYS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--mute-audio")


def with_microphone(sound: Path) -> list[str]:
    """Flags of a browser whose microphone plays a file over and over, and which may use it."""
    plays = f"--use-file-for-fake-audio-capture={sound}"
    return ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", plays]


class BrowserError(Exception):
    """The browser did not do as it was told."""


class Chromium:
    """One page. Entering raises BrowserError where there is no Chromium."""

    def __init__(self, flags: Sequence[str] = ()) -> None:
        self._flags = list(flags)
        self._folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self._asked = 0

    async def __aenter__(self) -> Self:
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise BrowserError(HOW_TO_GET_IT)
        command = [*_ALWAYS, *self._flags, f"--user-data-dir={self._folder}", "about:blank"]
        nowhere = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(program, *command, stdout=nowhere, stderr=nowhere)
        self._http = aiohttp.ClientSession()
        async with self._http.get(f"http://127.0.0.1:{await self._port()}/json/list") as answer:
            [page] = [target for target in await answer.json() if target["type"] == "page"]
        self._page = await self._http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        for domain in ("Page", "Runtime", "Network"):
            await self.tell(f"{domain}.enable")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._page.close()
        await self._http.close()
        self._process.terminate()
        await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, such as Page.navigate; its result."""
        self._asked += 1
        await self._page.send_json({"id": self._asked, "method": method, "params": parameters})
        async with asyncio.timeout(_ANSWERS_S):
            while (answer := await self._page.receive_json()).get("id") != self._asked:
                pass
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def value(self, script: str) -> Any:
        """What an expression of JavaScript comes to in the page."""
        found = await self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in found:
            raise BrowserError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def until(self, script: str, *, seconds: float = 30.0) -> Any:
        """The value of an expression once it is true."""
        ends = time.monotonic() + seconds
        while not (found := await self.value(script)):
            if time.monotonic() > ends:
                raise BrowserError(f"{script} was not true within {seconds:g} s")
            await asyncio.sleep(0.05)
        return found

    async def go(self, url: str) -> None:
        """Open a page; returns when it is loaded."""
        await self.tell("Page.navigate", url=url)
        await self.until(f"document.readyState === 'complete' && location.href.startsWith({url!r})")

    async def click(self, selector: str) -> None:
        await self.value(f"document.querySelector({selector!r}).click()")

    async def picture(self) -> bytes:
        """The whole page, as a PNG."""
        found = await self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    async def _port(self) -> int:
        told = self._folder / "DevToolsActivePort"
        ends = time.monotonic() + _STARTS_S
        while not await asyncio.to_thread(told.exists):
            if self._process.returncode is not None or time.monotonic() > ends:
                raise BrowserError("Chromium does not start.")
            await asyncio.sleep(0.05)
        return int((await asyncio.to_thread(told.read_text)).splitlines()[0])
