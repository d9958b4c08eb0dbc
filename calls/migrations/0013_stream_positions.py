"""Each row of a call's stream takes its place by itself."""

from django.db import migrations

# Whoever writes for a call holds its counter until the commit: places are committed in their order.
STREAM = """
CREATE FUNCTION calls_take_stream_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO calls_callstream AS stream (id, tenant_id, call_id, last)
        VALUES (gen_random_uuid(), NEW.tenant_id, NEW.call_id, 1)
        ON CONFLICT (tenant_id, call_id) DO UPDATE SET last = stream.last + 1
        RETURNING last INTO NEW.position;
    RETURN NEW;
END $$;
"""
STREAM_UNDO = "DROP FUNCTION calls_take_stream_position();"
PLACED = """
CREATE TRIGGER takes_a_position BEFORE INSERT ON {table}
    FOR EACH ROW EXECUTE FUNCTION calls_take_stream_position();
CREATE TRIGGER takes_a_new_position BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.* AND OLD.position = NEW.position)
    EXECUTE FUNCTION calls_take_stream_position();
"""
PLACED_UNDO = "DROP TRIGGER takes_a_position ON {table}; DROP TRIGGER takes_a_new_position ON {table};"
TABLES = ("calls_callevent", "calls_turn", "calls_toolcall")
EARLIER = [
    """
    CREATE TEMPORARY TABLE earlier ON COMMIT DROP AS
    SELECT kind, id, tenant_id, call_id, row_number() OVER (PARTITION BY call_id ORDER BY kind, at, sequence, id) AS position
    FROM (
        SELECT 'event' AS kind, id, tenant_id, call_id, at, 0 AS sequence FROM calls_callevent
        UNION ALL SELECT 'turn', id, tenant_id, call_id, NULL, sequence FROM calls_turn
        UNION ALL SELECT 'tool', id, tenant_id, call_id, NULL, sequence FROM calls_toolcall
    ) AS everything
    """,
    "UPDATE calls_callevent AS row SET position = earlier.position FROM earlier WHERE earlier.id = row.id",
    "UPDATE calls_turn AS row SET position = earlier.position FROM earlier WHERE earlier.id = row.id",
    "UPDATE calls_toolcall AS row SET position = earlier.position FROM earlier WHERE earlier.id = row.id",
    """
    INSERT INTO calls_callstream (id, tenant_id, call_id, last)
    SELECT gen_random_uuid(), tenant_id, call_id, max(position) FROM earlier GROUP BY tenant_id, call_id
    """,
]


class Migration(migrations.Migration):
    dependencies = [("calls", "0012_live_control")]

    operations = [
        migrations.RunSQL(EARLIER, migrations.RunSQL.noop),
        migrations.RunSQL(STREAM, STREAM_UNDO),
        *[migrations.RunSQL(PLACED.format(table=table), PLACED_UNDO.format(table=table)) for table in TABLES],
    ]
