import sys

from django.core.management.base import BaseCommand, CommandParser

from voiceplatform.embedded.__main__ import add_arguments, main


class Command(BaseCommand):
    help = "Start the embedded profile and wait, or run a command with it: manage.py dev [options] [-- command …]"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(main(argv[2:]))
