"""`python -m voiceplatform.embedded` and `manage.py dev`: start the embedded profile, then wait or run a command with it."""

import argparse
import sys
from collections.abc import Sequence

from voiceplatform.embedded import background, environment
from voiceplatform.embedded.borrow import borrowed
from voiceplatform.embedded.console import Console
from voiceplatform.embedded.errors import EmbeddedError, HomeInUseError
from voiceplatform.embedded.home import STAFF_LOGIN, Home
from voiceplatform.embedded.process import interrupt_when_told_to_stop, run_attached
from voiceplatform.embedded.service import Service
from voiceplatform.embedded.services import SERVERS, SERVICES
from voiceplatform.embedded.supervisor import Supervisor

LANGUAGE_MODEL_KEYS = ("GEMINI_API_KEY", "OPENAI_API_KEY")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="manage.py dev",
        description="Start the embedded profile and wait, or run a command with it: dev [options] [-- command …]",
    )
    add_arguments(parser)
    options, command = parser.parse_args(arguments[:at]), arguments[at + 1 :]
    interrupt_when_told_to_stop()
    try:
        return _dispatch(options, command)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ",".join(service.name for service in SERVICES)
    parser.add_argument("--only", metavar="NAMES", help=f"services to start, separated by commas; of {names}")
    parser.add_argument(
        "--no-wait", action="store_true", help="leave the services running in the background (end them with --stop)"
    )
    parser.add_argument("--stop", action="store_true", help="end the supervisor that runs on this VP_HOME")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)


def _dispatch(options: argparse.Namespace, command: list[str]) -> int:
    values = environment.given()
    home = Home(environment.home_path(values))
    if options.stop:
        return background.stop(home, console=Console())
    services = _chosen(options.only, values)
    if options.no_wait and not command:
        return background.start(home, only=options.only, console=Console())
    while True:
        try:
            return _supervise(
                home, services, values=values, command=command, strict=bool(options.only), ready_fd=options.ready_fd
            )
        except HomeInUseError:
            if not command:
                raise
        with borrowed(home, services, values=values, console=Console()) as env:
            if env is not None:
                return run_attached(command, env=env)


def _chosen(only: str | None, values: dict[str, str]) -> list[Service]:
    known = {service.name: service for service in SERVICES}
    if only is None:
        key = next((name for name in LANGUAGE_MODEL_KEYS if values.get(name)), None)
        return [service for service in SERVICES if not (key and service.name == "brain")]
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise EmbeddedError(
            f"There is no service {unknown[0]!r}. Example: --only {','.join(list(known)[:2])}. Known: {', '.join(known)}."
        )
    return [service for service in SERVICES if service.name in names]


def _supervise(
    home: Home, services: list[Service], *, values: dict[str, str], command: list[str], strict: bool, ready_fd: int | None
) -> int:
    console = Console()
    with Supervisor(home.root, SERVICES, values=values, console=console) as supervisor:
        supervisor.start([service.name for service in services if service in SERVERS], strict=strict)
        if any(service.migrated for service in services):
            supervisor.migrate()
        supervisor.start([service.name for service in services if service not in SERVERS], strict=strict)
        if command:
            code = run_attached(command, env=supervisor.environment())
            supervisor.wait_for_borrowers()
            return code
        if web := supervisor.urls.get("web"):
            console.say(f"web at {web}/admin/ ({_sign_in(home)})")
        if ready_fd is None:
            console.say("Ctrl-C stops everything.")
        else:
            background.report_ready(ready_fd)
        supervisor.watch()
        console.say("stopping …")
    return 0


def _sign_in(home: Home) -> str:
    kept = home.root / STAFF_LOGIN
    return f"user admin, password in {kept}" if kept.is_file() else "make demo or manage.py createsuperuser gives you a login"


if __name__ == "__main__":
    sys.exit(main())
