"""`manage.py demo`: start everything, run one simulated call, check it, then keep the console open.

Runs before Django is configured, because the supervisor starts the database.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from voiceplatform.demo import llm
from voiceplatform.demo.steps import Step, heading, manage
from voiceplatform.embedded import environment
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.models import ModelError, ensure
from voiceplatform.embedded.process import interrupt_when_told_to_stop, run_attached
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

PERSONA = "hours_and_message"
CALLEE = "+12025550115"
"""A person who talks, in the simulated carrier's phone book."""
STOPPED = 130
"""The exit code of a command that somebody stopped."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="manage.py demo", description="A simulated call you can watch, then the console.")
    parser.add_argument("--once", action="store_true", help="End after the call; the exit code says whether the check held.")
    parser.add_argument("--persona", default=PERSONA, help=f"Who calls (default {PERSONA}).")
    options = parser.parse_args(argv)
    interrupt_when_told_to_stop()
    try:
        return _run(once=options.once, persona=options.persona)
    except (EmbeddedError, ModelError) as error:
        sys.stderr.write(f"\n{error}\n")
        return getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 130


def _run(*, once: bool, persona: str) -> int:
    began = time.monotonic()
    values = environment.given()
    choice = llm.choose(values)
    heading(f"Language model: {choice.why}")
    _fetch_models(local_brain=choice.provider == "local", small=values.get("VP_BRAIN") == "small")
    heading("Starting")
    with Supervisor(environment.home_path(values), SERVICES, values=values) as supervisor:
        supervisor.start(["postgres", "valkey"])
        supervisor.migrate()
        supervisor.start(["speech", *(["brain"] if choice.provider == "local" else [])])
        seeded = _seed(supervisor, llm_provider=choice.provider, small=values.get("VP_BRAIN") == "small")
        heading(f"Ready after {time.monotonic() - began:.0f} s. A call is coming in")
        held = _call(supervisor, agent_id=seeded["agent_id"], persona=persona)
        if once:
            return 0 if held else 1
        supervisor.start(["web", "livekit", "celery", "beat", "host", "phone-host", "carrier"], strict=False)
        if "carrier" in supervisor.running():
            seeded = _seed(supervisor, llm_provider=choice.provider, small=values.get("VP_BRAIN") == "small")
        _invite(supervisor, seeded)
        supervisor.watch()
        heading("Stopping …")
    return 0


def _fetch_models(*, local_brain: bool, small: bool) -> None:
    names = ["whisper-base", "voice-joe"]
    if local_brain:
        names.append("brain-small" if small else "brain-default")
    ensure(names)


def _seed(supervisor: Supervisor, *, llm_provider: str, small: bool) -> dict[str, str]:
    arguments = ["seed_demo", "--llm", llm_provider, *(["--small"] if small else [])]
    with Step("demo tenant"):
        seeded: dict[str, str] = json.loads(manage(arguments, supervisor.environment()))
    return seeded


def _call(supervisor: Supervisor, *, agent_id: str, persona: str) -> bool:
    """Runs the call in a process of its own; true when it ended well and the independent check holds."""
    command = [sys.executable, str(environment.PROJECT / "manage.py"), "simulate_call"]
    code = run_attached([*command, "--agent", agent_id, "--persona", persona, "--check"], env=supervisor.environment())
    if code == STOPPED:
        raise KeyboardInterrupt
    return code == 0


def _invite(supervisor: Supervisor, seeded: dict[str, str]) -> None:
    url = supervisor.urls["web"]
    heading("The console is open")
    sys.stdout.write(
        f"  {url}/admin/   user {seeded['username']}   password {seeded['password']}\n\n"
        "  Try next:\n"
        "  · Calls → the newest call: play the recording and click a line of the transcript\n"
        "  · Agents → Ava → change a fact, then Simulate a call with another persona\n"
        "  · Tenants → Bright Smile Dental → Features: switch messages off and call again\n"
        f"  · another terminal: .venv/bin/python manage.py simulate_call --agent {seeded['agent_id']} --persona changes_mind\n"
        f"  · the API: {url}/api/docs\n"
        f"    with a key from: .venv/bin/python manage.py create_api_key --tenant {seeded['tenant_slug']}\n\n"
        f"{_telephone(seeded['phone']) if seeded['phone'] else ''}"
        "  Ctrl-C stops everything. The next start takes seconds.\n"
    )
    sys.stdout.flush()


def _telephone(phone: str) -> str:
    dev = ".venv/bin/python manage.py dev --only postgres,valkey,livekit -- .venv/bin/python manage.py"
    return (
        "  Telephone without a phone company; docs/rehearse.md says who answers where:\n"
        f"  · Agents → Ava → Call now: {CALLEE} is a person who talks\n"
        f"  · {CALLEE} calls Ava: {dev} run_simulated_carrier call --from {CALLEE} --to {phone}\n\n"
    )


if __name__ == "__main__":
    sys.exit(main())
