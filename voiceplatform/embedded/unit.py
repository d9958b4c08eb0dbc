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
SILENT_READY_AFTER = 1.5  # for a service that answers nobody


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
        self.state, self.problem, self.born = State.WAITING, "", 0
        self.process: subprocess.Popen[bytes] | None = None
        self._environment, self._say = environment, say
        self._since = self._next_check = 0.0
        self._delay, self._was_ready = FIRST_DELAY, False

    @property
    def settled(self) -> bool:
        return self.state not in {State.WAITING, State.STARTING}

    def step(self) -> None:
        now = time.monotonic()
        if self.state is State.STARTING:
            self._watch_start(now)
        elif self.state is State.READY and self.process and (code := self.process.poll()) is not None:
            self._forget_process()
            self._back_off(f"{self.service.name} {_how(code)}")
        elif self.state is State.READY and now - self._since > HEALTHY_AFTER:
            self._delay = FIRST_DELAY
        elif self.state is State.BACKING_OFF and now >= self._since + self._delay:
            self._delay = min(self._delay * 2, LONGEST_DELAY)
            self.begin()

    def begin(self) -> None:
        """Starts the process; the thread that calls this must live as long as the service."""
        self._since = self._next_check = time.monotonic()
        self.state = State.STARTING
        cap_log(self.log)
        try:
            self.launch.before()
            self._since = time.monotonic()  # what had to be done before may have taken long
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
        self._end()
        self.state = State.STOPPED

    def _end(self) -> None:
        if self.process is None:
            return
        for number, patience in ((self.service.stop_signal, self.service.grace), (signal.SIGKILL, 5.0)):
            self.process.send_signal(number)
            try:
                self.process.wait(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self._forget_process()

    def _watch_start(self, now: float) -> None:
        if self.process is None:
            return
        if (code := self.process.poll()) is not None:
            self._forget_process()
            self._fail(f"{self.service.name} {_how(code)} before it was ready. The end of {self.log}:\n{log_tail(self.log)}")
            return
        if now < self._next_check:
            return
        waited = now - self._since
        self._next_check = now + min(0.5, 0.03 + waited / 10)
        try:
            ready = self.launch.ready() if self.launch.ready else waited > SILENT_READY_AFTER
        except EmbeddedError as error:
            self._end()
            self._fail(str(error))
            return
        if ready:
            self._become_ready(waited)
        elif waited > self.service.start_timeout:
            self._end()
            self._fail(f"{self.service.name} is not ready after {waited:.0f} s. The end of {self.log}:\n{log_tail(self.log)}")

    def _become_ready(self, waited: float) -> None:
        self._since, self.state = time.monotonic(), State.READY
        if self._was_ready:
            self._say(f"{self.service.name:<10} ready again after {waited:.1f} s")
        self._was_ready = True

    def _forget_process(self) -> None:
        if self.process is not None:
            kill_group(self.process.pid)
            self.process = None

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
