from voiceplatform.admin import agent_page, tenant_page

__all__ = ["agent_page", "tenant_page"]
