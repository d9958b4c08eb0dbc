from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tenants.errors import ForbiddenScopeError
from tenants.models import Tenant
from tenants.roles import SCOPES
from tenants.scope import tenant_scope
from tenants.services.api_keys import create_key


class Command(BaseCommand):
    help = "Make an API key for a tenant. The key alone goes to standard output; it is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", required=True, help="Whose key it is, e.g. bright-smile.")
        parser.add_argument("--name", default="Command line", help="What uses it.")
        parser.add_argument("--scopes", default=",".join(SCOPES), help="Comma-separated; every scope when left out.")
        parser.add_argument("--live", action="store_true", help="A live key: its calls count and may cost money.")
        parser.add_argument("--days", type=int, help="It expires after so many days.")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        days = options["days"]
        with tenant_scope(tenant):
            try:
                made = create_key(
                    name=options["name"],
                    scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                    livemode=options["live"],
                    expires_at=timezone.now() + timedelta(days=days) if days is not None else None,
                )
            except ForbiddenScopeError as error:
                raise CommandError(str(error)) from error
            except ValidationError as error:
                raise CommandError("; ".join(error.messages)) from error
        self.stderr.write(f"{made.row.name}, for {tenant.name}: keep it, it is not shown again.")
        self.stdout.write(made.secret)
