"""How a service is described. The supervisor knows nothing else about it."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from voiceplatform.embedded.accounts import Account
from voiceplatform.embedded.home import Home


class Context(Protocol):
    """What a service may ask while it prepares its start."""

    home: Home
    values: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """The environment of an application process, with the addresses of everything started so far."""
        ...

    def say(self, text: str) -> None:
        """One line for the person at the keyboard."""
        ...


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One way to run a service; a crashed service is run again in the same way."""

    argv: Sequence[str]
    ready: Callable[[], bool] | None  # None: it answers nobody; ready when it has lived for a moment
    exports: Mapping[str, str] = field(default_factory=dict)  # what other processes learn through run/env
    env: Mapping[str, str] | None = None  # None: an application process, which gets everything
    cwd: Path = Path("/")
    account: Account | None = None
    url: str = ""
    before: Callable[[], None] = lambda: None  # run ahead of every spawn, also after a crash


@dataclass(frozen=True, kw_only=True)
class Service:
    name: str
    launch: Callable[[Context], Launch]
    replaced_by: tuple[str, ...] = ()  # variables by which the user names a server of their own
    after: tuple[str, ...] = ()  # services that must be ready first, where they run at all
    needs: str = ""  # a variable without which it is of no use, e.g. the address of a server
    migrated: bool = False  # needs the database's tables
    optional: bool = False  # the platform is of use without it; matters only to `Supervisor.start(…, strict=False)`
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10
    start_timeout: float = 60
