from calls.admin import calls, hosts, messages, people, provider_events, windows

__all__ = ["calls", "hosts", "messages", "people", "provider_events", "windows"]
