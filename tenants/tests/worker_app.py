"""A Celery application with three tasks that note how they ran."""

from celery import Celery, shared_task
from django.conf import settings

from tenants.celery_tasks import SystemTask, TenantTask
from tenants.models import TenantFeature
from tenants.scope import current_tenant_id

app = Celery("tests", broker=settings.REDIS_URL, set_as_current=False)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)


@shared_task(base=TenantTask)
def note_as_tenant(key: str) -> str:
    TenantFeature.objects.create(feature_key=key, enabled=True)
    return str(current_tenant_id())


@shared_task(base=SystemTask)
def note_as_platform() -> str:
    return str(current_tenant_id())
