"""Providers that break, and a database one can take away."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectionError, APIConnectOptions, llm, tts

from voice_worker.providers.constant import RuleLLM, RuleStream, Tone, ToneTTS


class BrokenLLM(RuleLLM):
    """Fails on each request, or, with `hangs`, never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        super().__init__([])
        self.hangs = hangs

    def chat(
        self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> Any:
        return _BrokenStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _BrokenStream(RuleStream):
    async def _run(self) -> None:
        if isinstance(self._llm, BrokenLLM) and self._llm.hangs:
            await asyncio.sleep(600)
        raise APIConnectionError("the language model does not answer")


class BreakableTTS(ToneTTS):
    """A voice that can be taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> Tone:
        return _Breakable(tts=self, input_text=text, conn_options=conn_options)


class _Breakable(Tone):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        if isinstance(self._tts, BreakableTTS) and self._tts.broken:
            raise APIConnectionError("the voice does not answer")
        await super()._run(output_emitter)


class Proxy:
    """A TCP proxy before a server; while it is cut, connections break and new ones are refused."""

    def __init__(self, server: tuple[str, int] | str) -> None:
        """`server` is a host and a port, or the path of a Unix socket."""
        self._server = server
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self.port = self._listen(0)

    def cut(self) -> None:
        listener, self._listener = self._listener, None
        if listener:
            # A blocked accept ends only by this.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs = []

    def mend(self) -> None:
        self._listen(self.port)

    def _listen(self, port: int) -> int:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                self._pairs.append(near)
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with suppress(OSError):
            if self._admits(near):
                far = _connect(self._server)
                self._pairs.append(far)
                threading.Thread(target=_pump, args=(far, near), daemon=True).start()
                _pump(near, far)
                return
        near.close()

    def _admits(self, near: socket.socket) -> bool:
        """Whether a connection may go on; asked in a thread of its own, which may wait."""
        return True


def _connect(server: tuple[str, int] | str) -> socket.socket:
    if not isinstance(server, str):
        return socket.create_connection(server)
    far = socket.socket(socket.AF_UNIX)
    far.connect(server)
    return far


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def until(holds: Callable[[], Any], *, timeout_s: float, step_s: float = 0.1) -> Any:
    """What `holds` gives once it is true. Raises AssertionError when that does not come in time."""
    import time

    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(step_s)
    return found
