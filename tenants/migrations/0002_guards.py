"""Rules that the database keeps even when the code that states them is bypassed."""

from django.db import migrations

AUDIT_IS_FINAL = """
CREATE FUNCTION tenants_audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE ON tenants_auditevent
    FOR EACH ROW EXECUTE FUNCTION tenants_audit_is_final();
"""

AUDIT_IS_FINAL_UNDO = """
DROP TRIGGER audit_is_final ON tenants_auditevent;
DROP FUNCTION tenants_audit_is_final();
"""

# The agency's row is locked, so that it cannot become a customer at the same moment.
TWO_LEVELS = """
CREATE FUNCTION tenants_two_levels() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    agency_of_agency uuid;
BEGIN
    IF NEW.agency_id IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT agency_id INTO agency_of_agency FROM tenants_tenant WHERE id = NEW.agency_id FOR SHARE;
    IF agency_of_agency IS NOT NULL THEN
        RAISE EXCEPTION 'the agency of % is itself a customer', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_two_levels';
    END IF;
    PERFORM 1 FROM tenants_tenant WHERE agency_id = NEW.id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'tenant % has customers of its own', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_two_levels';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER two_levels BEFORE INSERT OR UPDATE OF agency_id ON tenants_tenant
    FOR EACH ROW EXECUTE FUNCTION tenants_two_levels();
"""

TWO_LEVELS_UNDO = """
DROP TRIGGER two_levels ON tenants_tenant;
DROP FUNCTION tenants_two_levels();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(AUDIT_IS_FINAL, AUDIT_IS_FINAL_UNDO),
        migrations.RunSQL(TWO_LEVELS, TWO_LEVELS_UNDO),
    ]
