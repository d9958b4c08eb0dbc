"""Mutants that change nothing anybody can see, and why."""

from typing import Final

from tests.mutations.finding import Mutant

# (path, part of the mutant's line in the table): reason
KNOWN: Final[dict[tuple[str, str], str]] = {
    ("agents/selectors.py", "in agents_with_versions: AgentVersion"): "prefetched for agents that were found in the scope",
    ("calls/api/people.py", "in by_active"): "narrows rows of the scope by their keys",
    ("calls/api/people.py", "in rows: Consent"): "the consents of a lead that was found in the scope",
    ("calls/api/records.py", "tenant filter"): "what belongs to a call that was found in the scope",
    (
        "calls/api/chats.py",
        "tenant filter in _message: CallCommand",
    ): "finds the message just stored, or one of a call found in the scope",
    ("calls/api/views.py", "in shown_calls: Recording"): "prefetched for calls that were found in the scope",
    ("calls/api/views.py", "in shown_calls: Leg"): "prefetched for calls that were found in the scope",
    ("calls/api/views.py", "livemode"): "calls to people are not stored yet, and others are never live",
    ("calls/selectors.py", "in call_progress"): "what belongs to a call that was found in the scope",
    ("calls/selectors.py", "in cost_lines"): "what belongs to a call that was found in the scope",
    ("calls/selectors.py", "in turn_timings"): "what belongs to a call that was found in the scope",
    ("integrations/api/views.py", "in rows: WebhookDelivery"): "the deliveries of an endpoint that was found in the scope",
    ("integrations/selectors.py", "narrowed by hand"): "the endpoint is the same, and has one tenant; it is there for the index",
    ("tenants/admin/api_keys.py", "narrowed by hand"): "memberships are those of the tenant in scope",
    ("tenants/api/authentication.py", "check: not isinstance(caller"): "authentication has refused before whoever is no caller",
    ("tenants/api/jobs.py", "in errors: JobError"): "the errors of a job that was found in the scope",
    ("tenants/services/api_keys.py", 'parts[0] != "vp"'): "the digest is of the whole key, so it does not fit either",
    ("tenants/services/api_keys.py", "parts[1] not in"): "the digest is of the whole key, so it does not fit either",
    ("tenants/services/api_keys.py", "part of a check: row is None"): "no key has the digest of an empty text",
    ("calls/api/imports.py", "tenant filter in rows"): "imports have no rows to be found by id",
    ("calls/api/kept.py", "scope of content"): "a link opens it, not a key",
    ("agents/selectors.py", "in draft_or_published"): "finds by the key of a row that was found in the scope",
}


def why_equivalent(mutant: Mutant) -> str:
    found = [why for (path, part), why in KNOWN.items() if mutant.path == path and part in mutant.name]
    return f"equivalent: {found[0]}" if found else ""
