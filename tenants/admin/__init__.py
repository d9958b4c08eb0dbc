from tenants.admin import audit, deliveries, people, usage

__all__ = ["audit", "deliveries", "people", "usage"]
