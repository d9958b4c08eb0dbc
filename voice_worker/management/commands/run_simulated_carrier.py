"""A carrier without a phone company, for tests, demos and rehearsals."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Stand where livekit-sip stands: take the calls the LiveKit server dials, and call in (docs/rehearse.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--book", type=Path, metavar="FILE", help="Phone book, TOML or JSON; without it the built-in one.")
        parser.add_argument("--log", type=Path, metavar="FILE", help="The carrier's own account (VP_FILES/carrier/log.jsonl).")
        parser.add_argument(
            "--record", type=Path, metavar="FOLDER", help="Keep what each phone says (left) and hears (right): FOLDER/<leg>.wav."
        )
        actions = parser.add_subparsers(dest="action", metavar="ACTION", help="Without one the carrier runs until stopped.")
        call = actions.add_parser("call", help="A running carrier calls one of our numbers.")
        call.add_argument("--from", dest="caller", required=True, metavar="NUMBER", help="Its entry in the book says who speaks.")
        call.add_argument("--to", dest="called", required=True, metavar="NUMBER")
        call.add_argument("--actor", default="", metavar="JSON", help='Who speaks instead, e.g. {"kind": "tone", "token": 5}')
        call.add_argument("--count", type=int, default=1, help="So many calls at the same time.")
        call.add_argument(
            "--patience", dest="patience_s", type=float, default=180.0, metavar="SECONDS", help="Rings at most so long."
        )
        call.add_argument("--seconds", type=float, help="Hangs up so long after the answer.")
        hang_up = actions.add_parser("hang_up", help="End a leg, or all of them.")
        hang_up.add_argument("leg", nargs="?", default="")
        press = actions.add_parser("press", help="Send digits from a leg; w waits half a second.")
        press.add_argument("leg")
        press.add_argument("digits")
        actions.add_parser("legs", help="Show the legs that are up.")

    def handle(self, *, action: str | None, book: Path | None, log: Path | None, record: Path | None, **options: Any) -> None:
        if action is None:
            self._serve(book, log, record)
            return
        from voice_worker.simulation.carrier.control import ControlError, request

        names = {
            "call": ["caller", "called", "actor", "count", "patience_s", "seconds"],
            "hang_up": ["leg"],
            "press": ["leg", "digits"],
        }
        arguments = {name: options[name] for name in names.get(action, [])}
        try:
            result = asyncio.run(request(settings.REDIS_URL, action, **arguments))
        except ControlError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(result, indent=1))

    def _serve(self, book: Path | None, log: Path | None, takes: Path | None) -> None:
        from voice_worker.simulation.carrier.book import BUILT_IN, BookError, load_book

        for name, example in {"REDIS_URL": "redis://127.0.0.1:6379/0", "LIVEKIT_URL": "ws://127.0.0.1:7880"}.items():
            if not getattr(settings, name):
                raise CommandError(
                    f"{name} is not set. Example: {name}={example}. Start both: manage.py dev --only postgres,valkey,livekit"
                )
        try:
            phone_book = load_book(book or BUILT_IN)
        except BookError as error:
            raise CommandError(str(error)) from error
        path = log or Path(settings.VP_FILES) / "carrier" / "log.jsonl"
        asyncio.run(_run(phone_book, path, takes, tell=self.stdout.write))


async def _run(book: Any, path: Path, takes: Path | None, *, tell: Any) -> None:
    from voice_worker.simulation.carrier.actors import Stage
    from voice_worker.simulation.carrier.control import Control
    from voice_worker.simulation.carrier.exchange import Exchange
    from voice_worker.simulation.carrier.legs import Server
    from voice_worker.simulation.carrier.log import CarrierLog

    log = CarrierLog(path, on_entry=lambda entry: tell(_line(entry)))
    stage = Stage(speech_url=settings.VP_SPEECH_URL, folder=path.parent)
    server = Server(url=settings.LIVEKIT_URL, key=settings.LIVEKIT_API_KEY, secret=settings.LIVEKIT_API_SECRET)
    exchange = Exchange(redis_url=settings.REDIS_URL, server=server, book=book, log=log, stage=stage, takes=takes)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Control(exchange).start()
    await exchange.start()
    tell(f"the carrier takes calls; its log is {path}")
    await stop.wait()
    await exchange.aclose()
    log.close()


def _line(entry: dict[str, Any]) -> str:
    details = " ".join(
        f"{name}={value}" for name, value in entry.items() if name not in {"at", "mono", "leg", "event"} and value != ""
    )
    return f"{entry['at'][11:23]} {entry['leg']} {entry['event']:<9} {details}"
