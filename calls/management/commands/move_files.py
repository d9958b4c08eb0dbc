from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from calls.errors import NoSuchPlaceError
from calls.services import moving


class Command(BaseCommand):
    help = "Move stored recordings to another storage, with checksums; safe while calls run, to stop, and to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", choices=["files", "gcs"], required=True, help="Where to: this machine's disk or the bucket.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be moved.")

    def handle(self, *args: Any, **options: Any) -> None:
        to = options["to"]
        try:
            plan = moving.plan(to=to)
            self.stdout.write(f"{plan.files} recordings, {plan.size / 1e6:.1f} MB, are not in {to}.")
            if not options["dry_run"]:
                self._move(to, plan)
        except NoSuchPlaceError as error:
            raise CommandError(str(error)) from error

    def _move(self, to: str, plan: moving.Plan) -> None:
        moved = size = failed = 0
        for step in moving.move(to=to):
            if step.problem:
                failed += 1
                self.stderr.write(f"{step.recording_id}: {step.problem}")
            else:
                moved, size = moved + 1, size + step.size
            if (moved + failed) % 100 == 0:
                self.stdout.write(f"{moved} of {plan.files} moved, {size / 1e6:.1f} MB")
        removed = moving.remove_left_behind()
        self.stdout.write(f"{moved} moved, {size / 1e6:.1f} MB; {removed} old copies deleted.")
        if moved:
            self.stdout.write("Old copies of what was moved now are deleted in a quarter of an hour, when no link leads to them.")
        if failed:
            raise CommandError(f"{failed} recordings stay where they were. Mend what is said above, then run this again.")
