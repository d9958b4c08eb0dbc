"""The database itself refuses to change a published version or its grants, whoever asks."""

from django.db import migrations

CREATE = """
CREATE FUNCTION agents_version_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'published' THEN
        RAISE EXCEPTION 'version % is published and cannot change', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER agents_version_is_final BEFORE UPDATE OR DELETE ON agents_agentversion
    FOR EACH ROW EXECUTE FUNCTION agents_version_is_final();

-- FOR SHARE waits for a publish that is under way, so that no grant slips in beside what it compiled.
CREATE FUNCTION agents_grant_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    version uuid;
    version_state text;
BEGIN
    FOREACH version IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.version_id]
        WHEN 'DELETE' THEN ARRAY[OLD.version_id]
        ELSE ARRAY[OLD.version_id, NEW.version_id] END
    LOOP
        SELECT state INTO version_state FROM agents_agentversion WHERE id = version FOR SHARE;
        IF version_state = 'published' THEN
            RAISE EXCEPTION 'the tools of a published version cannot change' USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER agents_grant_is_final BEFORE INSERT OR UPDATE OR DELETE ON agents_toolgrant
    FOR EACH ROW EXECUTE FUNCTION agents_grant_is_final();

CREATE FUNCTION agents_published_version_is_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.published_version_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM agents_agentversion
        WHERE id = NEW.published_version_id AND agent_id = NEW.id AND state = 'published'
    ) THEN
        RAISE EXCEPTION 'an agent publishes only a published version of its own' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER agents_published_version_is_own BEFORE INSERT OR UPDATE OF published_version_id ON agents_agent
    FOR EACH ROW EXECUTE FUNCTION agents_published_version_is_own();
"""

DROP = """
DROP TRIGGER agents_published_version_is_own ON agents_agent;
DROP FUNCTION agents_published_version_is_own();
DROP TRIGGER agents_grant_is_final ON agents_toolgrant;
DROP FUNCTION agents_grant_is_final();
DROP TRIGGER agents_version_is_final ON agents_agentversion;
DROP FUNCTION agents_version_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]
    operations = [migrations.RunSQL(CREATE, DROP)]
