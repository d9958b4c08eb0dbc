from tenants.admin import api_keys, audit, deliveries, jobs, people, requests, usage

__all__ = ["api_keys", "audit", "deliveries", "jobs", "people", "requests", "usage"]
