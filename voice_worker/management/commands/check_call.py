import asyncio
import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from calls.models import Call
from voiceplatform.lib.ids import InvalidIdError, from_public_id


class Command(BaseCommand):
    help = "Check a simulated call independently: its rows against its recording and the caller's own log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("call", help="The call's id, e.g. call_01j…")

    def handle(self, *args: Any, **options: Any) -> None:
        from voice_worker.checking import NotCheckableError, checked_call
        from voice_worker.simulation.check import CheckReport, check
        from voice_worker.simulation.speech import SpeechClient

        if not settings.VP_SPEECH_URL:
            raise CommandError("The speech process must run, to hear the recording afresh. Start it with make run.")

        async def run() -> CheckReport:
            client = SpeechClient(settings.VP_SPEECH_URL)
            try:
                return await check(call, client.transcribe)
            finally:
                await client.aclose()

        try:
            with checked_call(_call_id(options["call"])) as call:
                report = asyncio.run(run())
        except Call.DoesNotExist as error:
            raise CommandError(f"There is no call {options['call']}.") from error
        except NotCheckableError as error:
            raise CommandError(str(error)) from error
        self._print(report)
        if not report.holds:
            sys.exit(1)

    def _print(self, report: Any) -> None:
        for result in report.results:
            mark = self.style.SUCCESS("holds") if result.ok else self.style.ERROR("FAILS")
            self.stdout.write(f"  {mark}  {result.name:<16} {result.detail}")
        verdict = "The check holds." if report.holds else "The check does not hold."
        self.stdout.write(self.style.SUCCESS(verdict) if report.holds else self.style.ERROR(verdict))


def _call_id(given: str) -> UUID:
    try:
        return from_public_id("call", given) if given.startswith("call_") else UUID(given)
    except (InvalidIdError, ValueError) as error:
        raise CommandError(f"{given!r} is not a call's id. It looks like call_01j….") from error
