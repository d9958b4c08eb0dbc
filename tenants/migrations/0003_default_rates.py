"""Write the prices the platform comes with."""

from django.db import migrations

from tenants.prices import write_missing


def write(apps, schema_editor):
    write_missing(apps.get_model("tenants", "DefaultRate"))


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_guards")]

    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
