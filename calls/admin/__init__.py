from calls.admin import (
    calls,
    carriers,
    hosts,
    messages,
    numbers,
    people,
    provider_events,
    recordings_list,
    targets,
    trunks,
    windows,
)

__all__ = [
    "calls",
    "carriers",
    "hosts",
    "messages",
    "numbers",
    "people",
    "provider_events",
    "recordings_list",
    "targets",
    "trunks",
    "windows",
]
