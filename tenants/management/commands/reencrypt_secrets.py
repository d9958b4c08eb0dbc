from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.services.secrets import reencrypt


class Command(BaseCommand):
    help = "Encrypt every stored secret anew with the first of FIELD_ENCRYPTION_KEYS; safe to stop and to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail unless the first key opens every secret.")

    def handle(self, *args: Any, **options: Any) -> None:
        old = lost = 0
        for counts in reencrypt(write=not options["check"]):
            old, lost = old + counts.changed, lost + counts.lost
            under = "under an older key" if options["check"] else "encrypted anew"
            self.stdout.write(f"{counts.column}: {counts.current} current, {counts.changed} {under}, {counts.lost} lost")
        if lost:
            raise CommandError(f"{lost} secrets open with none of FIELD_ENCRYPTION_KEYS. Add the key they were stored with.")
        if old and options["check"]:
            raise CommandError(f"{old} secrets need an older key. Run reencrypt_secrets before you remove it.")
