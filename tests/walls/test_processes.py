"""What Celery loads: every task has a base that says whose it is, and the outbox's table and handlers agree."""

import importlib
import runpy
from collections import defaultdict

import pytest
from celery import Celery

from tenants.celery_tasks import SystemTask
from tenants.outbox import HANDLERS
from tenants.topics import TOPICS

# What brings about whatever else is lost with a message or a process, and how many seconds it may be away.
MENDS = {
    "tenants.tasks.sweep_outbox": 5,
    "tenants.tasks.sweep_jobs": 10,
    "integrations.tasks.sweep_webhooks": 5,
    "calls.tasks.dispatch_calls": 5,
    "calls.tasks.sweep_calls": 5,
    "calls.tasks.sync_telephony": 15,
    "calls.tasks.reconcile_rooms": 10,
    "calls.tasks.reconcile_egress": 30,
    "calls.tasks.handle_provider_events": 10,
}


@pytest.fixture(scope="module")
def celery_app() -> Celery:
    app = importlib.import_module("voiceplatform.celery").app
    app.loader.import_default_modules()
    app.finalize()
    return app


def test_every_task_says_whose_it_is(celery_app: Celery) -> None:
    ours = {name: task for name, task in celery_app.tasks.items() if not name.startswith(("celery.", "tenants.tests."))}
    assert {"tenants.tasks.drain_outbox", "tenants.tasks.sweep_outbox"} <= set(ours)
    assert [name for name, task in ours.items() if not isinstance(task, SystemTask)] == []


def test_beat_and_code_name_tasks_that_exist(celery_app: Celery) -> None:
    assert {entry["task"] for entry in celery_app.conf.beat_schedule.values()} <= set(celery_app.tasks)


def test_whatever_mends_runs_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceplatform.settings.base.LIVEKIT_URL", "ws://127.0.0.1:1")
    web = importlib.import_module("voiceplatform.settings.web")
    beats = runpy.run_path(str(web.__file__))["CELERY_BEAT_SCHEDULE"].values()
    every = {entry["task"]: entry["schedule"] for entry in beats}
    assert {task: every.get(task) for task, most in MENDS.items() if not 0 < every.get(task, 0) <= most} == {}


def test_the_table_and_the_handlers_agree(celery_app: Celery) -> None:
    """Loading the worker's modules registers a handler for every subscriber the table names, and no other."""
    named = {name for names in TOPICS.values() for name in names}
    assert {name for name in HANDLERS if not name.startswith("tests.")} == named
    owners: dict[str, set[str]] = defaultdict(set)
    for name, subscription in HANDLERS.items():
        owners[name.partition(".")[0]].add(subscription.handler.__module__)
    assert {app: modules for app, modules in owners.items() if modules != {f"{app}.handlers"}} == {}
