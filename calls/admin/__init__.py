from calls.admin import calls, hosts, messages, people, windows

__all__ = ["calls", "hosts", "messages", "people", "windows"]
