import sys
from typing import Any

from django.core.management.base import BaseCommand

from voiceplatform.doctor import examine


class Command(BaseCommand):
    help = "Check everything the platform depends on and print what to do where it fails."

    def handle(self, *args: Any, **options: Any) -> None:
        healthy = True
        for finding in examine():
            healthy &= finding.ok
            mark = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("FAIL")
            self.stdout.write(f"{mark} {finding.name:<13} {finding.detail}")
            if not finding.ok:
                self.stdout.write(f"                   → {finding.fix}")
        if not healthy:
            sys.exit(1)
