from calls.admin import calls, hosts, messages

__all__ = ["calls", "hosts", "messages"]
