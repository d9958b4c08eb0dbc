"""Holds conversations: calls of this machine, or calls in rooms of a LiveKit server."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Hold conversations. The first SIGTERM lets running calls finish, the second ends them."

    def add_arguments(self, parser: CommandParser) -> None:
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--local", action="store_true", help="Simulated calls and chats, on this machine without a server.")
        where.add_argument("--livekit", action="store_true", help="Calls in rooms of the LiveKit server at LIVEKIT_URL.")
        parser.add_argument("--drain", type=float, metavar="SECONDS", help="How long running calls may go on after SIGTERM.")

    def handle(self, *, local: bool, drain: float | None, **_options: Any) -> None:
        if local:
            asyncio.run(_run_local(10.0 if drain is None else drain))
            return
        from voice_worker.livekit_host import NotConfiguredError, serve

        try:
            serve(drain_s=1800.0 if drain is None else drain)
        except NotConfiguredError as error:
            raise CommandError(str(error)) from error


async def _run_local(drain_s: float) -> None:
    from voice_worker.local_host import LocalHost

    host = LocalHost(calls=settings.VP_LOCAL_CALLS, chats=settings.VP_LOCAL_CHATS, drain_s=drain_s)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.signal)
    await host.run()
