"""One simulated call, in the terminal."""

import asyncio
import signal
import sys
from typing import Any
from uuid import UUID

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Let a simulated caller talk to an agent; what is said is printed as it is said. Exit code 0: the call ended well."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--agent", required=True, help="The agent's name or id.")
        parser.add_argument("--persona", default="", metavar="KEY", help="Who calls.")
        parser.add_argument("--tenant", default="", metavar="SLUG", help="Whose agent, where the name alone does not say.")
        parser.add_argument("--draft", action="store_true", help="Call the draft instead of the published version.")
        parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="A variable of the call.")
        parser.add_argument("--check", action="store_true", help="Check the call independently afterwards.")

    def handle(self, *, agent: str, persona: str, tenant: str, draft: bool, var: list[str], check: bool, **_: Any) -> None:
        from agents.errors import AgentsError
        from agents.personas import PERSONAS
        from calls.errors import CallsError
        from tenants.errors import TenantsError
        from voice_worker.simulating import NoSuchAgentError, Wanted, find_agent

        if persona and persona not in PERSONAS:
            raise CommandError(f"There is no persona {persona!r}. Known: {', '.join(PERSONAS)}.")
        wanted = Wanted(agent=agent, tenant=tenant, persona=persona, draft=draft, variables=_variables(var))
        try:
            call_id, is_well, stopped = _simulate(find_agent(wanted), wanted)
        except (NoSuchAgentError, CallsError, AgentsError, TenantsError) as error:
            raise CommandError(str(error)) from error
        if stopped:
            sys.exit(130)
        if check:
            call_command("check_call", str(call_id))
        if not is_well:
            sys.exit(1)


def _variables(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise CommandError("A variable is given as NAME=VALUE, e.g. --var first_name=Maria")
    return {name: value for name, _, value in pairs}


def _simulate(agent: Any, wanted: Any) -> tuple[UUID, bool, bool]:
    from rich.console import Console

    from voice_worker.showing import Ticker, print_summary, summarise
    from voice_worker.simulating import simulate

    console = Console(soft_wrap=True)
    ticker = Ticker(console)
    console.print(f"{wanted.persona or 'somebody'} calls {agent.name}; loading …", style="dim", markup=False)

    stop = asyncio.Event()

    async def run() -> UUID:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await simulate(agent, wanted, tell=ticker.tell, stop=stop)

    call_id = asyncio.run(run())
    ticker.close()
    summary = summarise(call_id)
    print_summary(summary, console)
    return call_id, summary.outcome.is_well, stop.is_set()
