import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from voiceplatform.demo.seed import BRAINS, seed_demo


class Command(BaseCommand):
    help = "Create the demo tenant with its published agent and the staff login; safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--llm", choices=sorted(BRAINS), default="local", help="Who runs the agent's language model.")
        parser.add_argument("--small", action="store_true", help="Use the small local language model.")

    def handle(self, *args: Any, **options: Any) -> None:
        seeded = seed_demo(llm=options["llm"], small_brain=options["small"])
        self.stdout.write(json.dumps(asdict(seeded)))
