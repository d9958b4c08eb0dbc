from calls.admin import calls, hosts, messages, numbers, people, provider_events, trunks, windows

__all__ = ["calls", "hosts", "messages", "numbers", "people", "provider_events", "trunks", "windows"]
