"""`python -m voiceplatform.embedded` and `manage.py dev`: start the embedded profile, wait or run a command with it."""

import argparse
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from voiceplatform.embedded import environment
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    own, _, command = _split(arguments)
    options = _parser().parse_args(own)
    try:
        return _run(options, command)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="manage.py dev",
        description="Start the embedded profile and wait, or run a command with it: dev [options] [-- command …]",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ",".join(service.name for service in SERVICES)
    parser.add_argument("--only", metavar="NAMES", default=names, help=f"services to start, separated by commas (all: {names})")


def _run(options: argparse.Namespace, command: list[str]) -> int:
    values = environment.given()
    names = [name for name in options.only.split(",") if name]
    with Supervisor(environment.home_path(values), SERVICES, values=values) as supervisor:
        supervisor.start(names)
        if command:
            return _run_command(command, env=supervisor.environment())
        _wait()
    return 0


def _run_command(command: list[str], *, env: dict[str, str]) -> int:
    """Ctrl-C reaches the command by the terminal; a SIGTERM is passed on. Either way its exit code is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, env=env, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # noqa: PLW1509
    except OSError as error:
        raise EmbeddedError(f"{command[0]} cannot be run: {error.strerror}") from error
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return 128 - code if code < 0 else code


def _wait() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())
