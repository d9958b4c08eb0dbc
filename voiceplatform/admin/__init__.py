from voiceplatform.admin import agent_page, plans, tenant_page

__all__ = ["agent_page", "plans", "tenant_page"]
