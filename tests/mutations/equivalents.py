"""Mutants that change nothing anybody can see, and why."""

from typing import Final

from tests.mutations.finding import Mutant

# (path, part of the mutant's line in the table): reason
KNOWN: Final[dict[tuple[str, str], str]] = {
    ("agents/selectors.py", "in agents_with_versions: AgentVersion"): "prefetched for agents that were found in the scope",
    ("calls/api/people.py", "in by_active"): "narrows rows of the scope by their keys",
    ("calls/api/people.py", "in rows: Consent"): "the consents of a lead that was found in the scope",
    ("calls/api/records.py", "tenant filter"): "what belongs to a call that was found in the scope",
    ("calls/api/chats.py", "tenant filter in chat"): "finds by the key of the message that the request has just stored",
    ("calls/api/chats.py", "tenant filter in _message"): "the messages of a call that was found in the scope",
    ("calls/api/imports.py", "tenant filter in rows"): "imports have no rows to be found by id",
    ("calls/api/kept.py", "scope of content"): "a link opens it, not a key",
    ("agents/selectors.py", "in draft_or_published"): "finds by the key of a row that was found in the scope",
}


def why_equivalent(mutant: Mutant) -> str:
    found = [why for (path, part), why in KNOWN.items() if mutant.path == path and part in mutant.name]
    return f"equivalent: {found[0]}" if found else ""
