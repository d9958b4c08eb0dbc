from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.features import seed_features


class Command(BaseCommand):
    help = "Write down the default of every feature a tenant has made no choice about; safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="Only this tenant; all of them when left out.")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = Tenant.objects.exclude(status=Tenant.Status.PURGED)
        if options["tenant"]:
            tenants = tenants.filter(slug=options["tenant"])
            if not tenants:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
        for tenant in tenants:
            with tenant_scope(tenant):
                self.stdout.write(f"{tenant.slug}: {seed_features()} added")
