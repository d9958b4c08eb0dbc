"""The supervisor itself, with toy services."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import pytest

from tests.embedded.conftest import PROJECT, VALUES, alive, child_env, until
from voiceplatform.embedded.console import Console
from voiceplatform.embedded.errors import HomeInUseError, StartError
from voiceplatform.embedded.home import read_json
from voiceplatform.embedded.process import cap_log
from voiceplatform.embedded.service import Launch, Service
from voiceplatform.embedded.supervisor import Supervisor

SLEEP = "import time; time.sleep(60)"


def toy(name: str, code: str = SLEEP, *, ready: Callable[[], bool] | None = lambda: True, **options: object) -> Service:
    launch = Launch(argv=[sys.executable, "-c", code], ready=ready, cwd=PROJECT, exports={f"{name.upper()}_URL": f"here:{name}"})
    return Service(name=name, launch=lambda _context: launch, **options)  # type: ignore[arg-type]


def make(home: Path, services: Sequence[Service], output: StringIO | None = None) -> Supervisor:
    return Supervisor(home, services, values=VALUES, console=Console(output or StringIO()))


def pid_of(supervisor: Supervisor, name: str) -> int:
    return int(read_json(supervisor.home.state_file).get(name, {}).get("pid", 0))


def polite(folder: Path, name: str) -> Service:
    """Writes its name into `order` when it is told to end."""
    up = folder / f"{name}-up"
    code = f"""
import pathlib, signal, sys, time
def end(*_):
    with open({str(folder / "order")!r}, "a") as order: order.write({name!r})
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path({str(up)!r}).touch()
time.sleep(60)
"""
    return toy(name, code, ready=up.exists)


def test_stops_in_reverse_order(home: Path, tmp_path: Path) -> None:
    with make(home, [polite(tmp_path, name) for name in "abc"]) as supervisor:
        supervisor.start(["a", "b"])
        supervisor.start(["c"])
    assert (tmp_path / "order").read_text() == "cba"


def test_what_does_not_listen_is_killed_after_its_grace(home: Path, tmp_path: Path) -> None:
    up = tmp_path / "up"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(up)!r}, 'w'); time.sleep(60)"
    with make(home, [toy("deaf", code, ready=up.exists, grace=0.3)]) as supervisor:
        supervisor.start(["deaf"])
        pid = pid_of(supervisor, "deaf")
    assert not alive(pid)


def test_a_service_that_ends_at_once_is_an_error_with_the_end_of_its_log(home: Path) -> None:
    broken = toy("broken", "import sys; print('no such table'); sys.exit(4)", ready=lambda: False)
    message = r"broken ended with code 4 before it was ready.*\n.*no such table"
    with make(home, [broken]) as supervisor, pytest.raises(StartError, match=message):
        supervisor.start(["broken"])


def test_a_service_that_never_answers_is_ended(home: Path) -> None:
    with make(home, [toy("mute", ready=lambda: False, start_timeout=0.5)]) as supervisor:
        with pytest.raises(StartError, match="mute is not ready after"):
            supervisor.start(["mute"])
        assert read_json(supervisor.home.state_file) == {}


def test_an_optional_service_may_fail_where_that_is_allowed(home: Path) -> None:
    output = StringIO()
    services = [toy("extra", "raise SystemExit(1)", ready=lambda: False, optional=True), toy("main", after=("extra",))]
    with make(home, services, output) as supervisor:
        supervisor.start(["extra", "main"], strict=False)
        assert supervisor.running() == ["main"]
    assert "extra ended with code 1" in output.getvalue()


def test_a_crashing_service_is_started_again_ever_more_slowly(home: Path) -> None:
    output = StringIO()
    with make(home, [toy("frail", "import time; time.sleep(0.05); raise SystemExit(9)")], output) as supervisor:
        supervisor.start(["frail"])
        until(lambda: "in 2 s" in output.getvalue())
    waits = [line.partition(" again in ")[2].split(" ")[0] for line in output.getvalue().splitlines() if "ended with" in line]
    assert waits == ["0.5", "1", "2"]


def test_a_killed_service_gets_a_new_process(home: Path) -> None:
    with make(home, [toy("solid")]) as supervisor:
        supervisor.start(["solid"])
        first = pid_of(supervisor, "solid")
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(supervisor, "solid") not in {0, first})


def test_starting_order_waits_for_what_comes_first(home: Path, tmp_path: Path) -> None:
    mark = tmp_path / "slow-is-ready"
    slow = toy("slow", f"import time; time.sleep(0.4); open({str(mark)!r}, 'w'); time.sleep(60)", ready=mark.exists)
    code = f"import os, sys, time; os.path.exists({str(mark)!r}) or sys.exit(5); time.sleep(60)"
    with make(home, [slow, toy("late", code, ready=None, after=("slow",))]) as supervisor:
        supervisor.start(["late", "slow"])
        assert sorted(supervisor.running()) == ["late", "slow"]


def test_addresses_reach_the_env_file_and_the_children(home: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = f"import os, time; open({str(seen)!r}, 'w').write(os.environ['A_URL'] + os.environ['B_URL']); time.sleep(60)"
    with make(home, [toy("a"), toy("b", code, ready=seen.exists)]) as supervisor:
        supervisor.start(["a", "b"])
        assert supervisor.home.read_env()["VP_SUPERVISOR_PID"] == str(os.getpid())
        assert supervisor.home.read_env()["A_URL"] == "here:a"
    assert seen.read_text() == "here:ahere:b"


def test_children_die_with_a_killed_supervisor(home: Path) -> None:
    code = (
        "from tests.embedded.test_supervision import make, toy; import pathlib, sys, time\n"
        "with make(pathlib.Path(sys.argv[1]), [toy('child')]) as s: s.start(['child']); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(home)]
    with subprocess.Popen(command, env=child_env(home), cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        pid = int(read_json(home / "run" / "state.json")["child"]["pid"])
        process.kill()
    until(lambda: not alive(pid), seconds=3)


def test_one_supervisor_per_home(home: Path) -> None:
    with make(home, []), pytest.raises(HomeInUseError, match=f"process {os.getpid()} since"), make(home, []):
        pass
    with make(home, []):
        pass


def test_a_large_log_moves_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("x" * 100)
    cap_log(log, limit=100)
    assert log.stat().st_size == 100
    cap_log(log, limit=99)
    assert (log.stat().st_size, log.with_name("web.log.1").stat().st_size) == (0, 100)
