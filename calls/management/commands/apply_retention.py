from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from calls.clock import database_now
from calls.services.retention import apply_retention


class Command(BaseCommand):
    help = "Delete recordings whose time is over, as Celery does each hour; safe to stop and to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be deleted.")
        parser.add_argument("--in-days", type=int, default=0, help="With --dry-run: as it will be in so many days.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["in_days"] and not options["dry_run"]:
            raise CommandError("--in-days looks ahead: add --dry-run.")
        now = database_now() + timedelta(days=options["in_days"])
        count = size = failed = 0
        for due in apply_retention(now=now, dry_run=options["dry_run"]):
            count, size, failed = count + 1, size + due.size, failed + bool(due.problem)
            if due.problem:
                self.stderr.write(f"{due.recording_id}: {due.problem}")
        would = "would be deleted" if options["dry_run"] else "deleted"
        self.stdout.write(f"{count - failed} recordings {would}, {size / 1e6:.1f} MB.")
        if failed:
            raise CommandError(f"{failed} recordings could not be deleted; they are tried again each hour.")
