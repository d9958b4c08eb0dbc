"""Liveness says the process answers; readiness says it can do its work."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def healthz(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    problems = [problem for check in (_database, _broker) if (problem := check())]
    return JsonResponse({"status": "unready" if problems else "ready", "problems": problems}, status=503 if problems else 200)


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "database: migrations are waiting; run manage.py migrate"
    except DatabaseError:
        return "database: not reachable at DATABASE_URL"
    return ""


def _broker() -> str:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        return "broker: not reachable at REDIS_URL"
    return ""
