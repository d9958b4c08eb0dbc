"""Models of the embedded profile: what there is, fetch it, check it, bring your own."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voiceplatform.embedded.models import ModelError, ensure, store
from voiceplatform.embedded.models.catalogue import CATALOGUE
from voiceplatform.embedded.models.progress import size_text


class Command(BaseCommand):
    help = "Lists, fetches, verifies and adds the models of the embedded profile."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every model, its size, licence and place")
        for name, text in (("fetch", "download what is missing"), ("verify", "hash every file anew")):
            one = actions.add_parser(name, help=text)
            one.add_argument("names", nargs="*", metavar="MODEL", help=f"one of {', '.join(CATALOGUE)}; none for all")
        add = actions.add_parser("add", help="take over a model you already have")
        add.add_argument("name", metavar="MODEL")
        add.add_argument("source", type=Path, metavar="PATH", help="its file, or the folder with its files")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(**options)
        except ModelError as error:
            raise CommandError(str(error)) from error

    def _list(self, **_options: Any) -> None:
        for model in CATALOGUE.values():
            place = store.find(model.name)
            self.stdout.write(f"{model.name}: {model.title}, {size_text(model.size)}, {model.licence}")
            self.stdout.write(f"    from {model.upstream}; {place or 'not here yet'}")

    def _fetch(self, *, names: list[str], **_options: Any) -> None:
        for name, path in ensure(names or list(CATALOGUE)).items():
            self.stdout.write(f"{name}: {path}")

    def _verify(self, *, names: list[str], **_options: Any) -> None:
        chosen = names or [name for name in CATALOGUE if store.is_here(name)]
        problems = [problem for name in chosen for problem in store.verify(name)]
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(f"Right: {', '.join(chosen) or 'there is nothing to verify'}")

    def _add(self, *, name: str, source: Path, **_options: Any) -> None:
        self.stdout.write(f"{name}: {store.add(name=name, source=source)}")
