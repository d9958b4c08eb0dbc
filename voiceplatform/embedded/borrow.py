"""Running a command with servers that another process owns."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from voiceplatform.embedded import environment
from voiceplatform.embedded.console import Console
from voiceplatform.embedded.errors import HomeInUseError
from voiceplatform.embedded.home import Home, read_json
from voiceplatform.embedded.lock import borrowing, describe_holder, holder_pid
from voiceplatform.embedded.service import Service

PATIENCE_MISSING, PATIENCE_STARTING = 30.0, 300.0


@contextmanager
def borrowed(
    home: Home, services: Sequence[Service], *, values: dict[str, str], console: Console
) -> Iterator[dict[str, str] | None]:
    """The environment to run a command in, while the owner is kept from stopping; None when there is no owner any more.

    Raises HomeInUseError when the owner does not run what is needed.
    """
    needed = [service.name for service in services if not any(values.get(name) for name in service.replaced_by)]
    with borrowing(home):
        pid = _wait_until_ready(home, needed=needed, console=console)
        if pid is None:
            yield None
            return
        console.say(f"using {', '.join(needed)} of process {pid}")
        yield environment.for_children(values=values, exports=home.read_env(), home=home.root)


def _wait_until_ready(home: Home, *, needed: list[str], console: Console) -> int | None:
    began = time.monotonic()
    while (pid := holder_pid(home)) is not None:
        state = read_json(home.state_file)
        waiting = [name for name in needed if not state.get(name, {}).get("ready")]
        if not waiting:
            return pid
        missing = [name for name in waiting if name not in state]
        if time.monotonic() - began > (PATIENCE_MISSING if missing else PATIENCE_STARTING):
            raise HomeInUseError(
                f"{describe_holder(home)} It does not run {', '.join(missing or waiting)}, which this command needs."
            )
        console.pending(f"waiting for {', '.join(waiting)} of process {pid} …")
        time.sleep(0.1)
    return None
