from tenants.admin import audit, people, usage

__all__ = ["audit", "people", "usage"]
