"""One service under supervision: starting, ready, waiting to be started again, stopped."""

import signal
import subprocess
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.process import cap_log, kill_group, log_tail, spawn, start_time
from voiceplatform.embedded.service import Launch, Service

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.5, 30.0, 60.0


class State(Enum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    FAILED = "failed"
    STOPPED = "stopped"


class Unit:
    """Driven by the supervisor's thread, which calls `step` over and over."""

    def __init__(
        self,
        *,
        service: Service,
        launch: Launch,
        log: Path,
        environment: Callable[[], dict[str, str]],
        say: Callable[[str], None],
    ) -> None:
        self.service, self.launch, self.log = service, launch, log
        self.state, self.problem, self.took, self.born = State.WAITING, "", 0.0, 0
        self.process: subprocess.Popen[bytes] | None = None
        self._environment, self._say = environment, say
        self._since = time.monotonic()
        self._delay, self._was_ready = FIRST_DELAY, False

    def step(self) -> None:
        match self.state:
            case State.STARTING:
                self._watch_start()
            case State.READY:
                if self.process is not None and self.process.poll() is not None:
                    self._ended()
                elif time.monotonic() - self._since > HEALTHY_AFTER:
                    self._delay = FIRST_DELAY
            case State.BACKING_OFF if time.monotonic() >= self._since + self._delay:
                self._delay = min(self._delay * 2, LONGEST_DELAY)
                self.begin()
            case _:
                pass

    def begin(self) -> None:
        """Starts the process; the thread that calls this must live as long as the service."""
        self._since, self.state = time.monotonic(), State.STARTING
        cap_log(self.log)
        try:
            self.launch.before()
            self.process = spawn(
                self.launch.argv,
                env=self.launch.env if self.launch.env is not None else self._environment(),
                cwd=self.launch.cwd,
                log=self.log,
                account=self.launch.account,
                death_signal=self.service.stop_signal,
            )
        except (OSError, EmbeddedError, subprocess.SubprocessError) as error:
            self._fail(f"{self.service.name} cannot be started: {error}")
            return
        self.born = start_time(self.process.pid) or 0

    def stop(self) -> None:
        process, self.state = self.process, State.STOPPED
        if process is None:
            return
        for number, patience in ((self.service.stop_signal, self.service.grace), (signal.SIGKILL, 5)):
            if process.poll() is None:
                process.send_signal(number)
            try:
                process.wait(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
        kill_group(process.pid)

    def _watch_start(self) -> None:
        code = self.process.poll() if self.process else None
        if code is not None:
            self._fail(f"{self.service.name} {_how(code)} before it was ready. The end of {self.log}:\n{log_tail(self.log)}")
            return
        try:
            ready = self.launch.ready()
        except EmbeddedError as error:
            self._kill()
            self._fail(str(error))
            return
        waited = time.monotonic() - self._since
        if ready:
            self.took, self._since, self.state = waited, time.monotonic(), State.READY
            if self._was_ready:
                self._say(f"{self.service.name}: ready again after {waited:.1f} s")
            self._was_ready = True
        elif waited > self.service.start_timeout:
            self._kill()
            self._fail(f"{self.service.name} is not ready after {waited:.0f} s. The end of {self.log}:\n{log_tail(self.log)}")

    def _kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            kill_group(self.process.pid)

    def _ended(self) -> None:
        if self.process is None or self.process.returncode is None:
            return
        kill_group(self.process.pid)
        self._back_off(f"{self.service.name} {_how(self.process.returncode)}")

    def _fail(self, problem: str) -> None:
        """A first start that fails is for the user to mend; one that worked before is tried again."""
        if self._was_ready:
            self._back_off(problem.splitlines()[0])
        else:
            self.state, self.problem = State.FAILED, problem

    def _back_off(self, problem: str) -> None:
        self.state, self._since = State.BACKING_OFF, time.monotonic()
        self._say(f"{problem}; starting it again in {self._delay:g} s (log: {self.log})")


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
