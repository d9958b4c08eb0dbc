"""What the platform depends on, whether it works, and what to do where it does not."""

import json
import smtplib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import redis
from django.conf import settings
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet
from django.utils import timezone
from livekit import api

from calls.clock import database_now
from calls.errors import LiveKitError
from calls.models import ProviderEvent, WorkerHost
from calls.telephony.client import connected, is_configured
from calls.telephony.standing import standing
from voiceplatform.findings import Finding
from voiceplatform.storage_doctor import storage_checks

HOST_SILENCE = timedelta(seconds=15)
CLOCKS_APART_S = 2.0


def examine() -> Iterator[Finding]:
    """Check each dependency in the order in which others need it."""
    database = _database()
    yield database
    checks: list[Callable[[], Finding]] = [_broker, _spool, *storage_checks(), _mail, _speech, _brain, _livekit]
    if database.ok:
        phones = [_telephony, _hook, _phone_hosts] if is_configured() else []
        checks = [_migrations, _clocks, *checks, *phones, _hosts]
    for check in checks:
        yield check()


def _database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            return Finding("database", ok=True, detail=f"PostgreSQL {cursor.fetchone()[0]}")
    except DatabaseError as error:
        detail = str(error).strip().splitlines()[0]
        return Finding("database", ok=False, detail=detail, fix="Set DATABASE_URL, or start the embedded one: make run")


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    detail = f"{len(waiting)} waiting" if waiting else "all applied"
    return Finding("migrations", ok=not waiting, detail=detail, fix="manage.py migrate")


def _broker() -> Finding:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            info = client.info("server")
    except redis.RedisError as error:
        return Finding("broker", ok=False, detail=str(error), fix="Set REDIS_URL, or start the embedded one: make run")
    return Finding(
        "broker", ok=True, detail=f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}"
    )


def _spool() -> Finding:
    path: Path = settings.VP_SPOOL
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        return Finding("spool", ok=False, detail=str(error), fix="Point VP_SPOOL at a folder the worker may write")
    return Finding("spool", ok=True, detail=str(path))


def _mail() -> Finding:
    backend = mail.get_connection()
    if not isinstance(backend, SmtpBackend):
        where = getattr(settings, "EMAIL_FILE_PATH", "") or settings.EMAIL_BACKEND
        return Finding("mail", ok=True, detail=f"goes to {where}, to nobody's mailbox (EMAIL_URL is empty)")
    try:
        backend.open()
        backend.close()
    except (OSError, smtplib.SMTPException) as error:
        return Finding("mail", ok=False, detail=str(error), fix="Set EMAIL_URL to a mail server that takes our mails")
    return Finding("mail", ok=True, detail=f"{backend.host}:{backend.port} takes mails from {settings.DEFAULT_FROM_EMAIL}")


def _speech() -> Finding:
    if not settings.VP_SPEECH_URL:
        return Finding("speech", ok=True, detail="no local speech process (VP_SPEECH_URL is empty)")
    answer = _get_json(f"{settings.VP_SPEECH_URL}/health")
    if isinstance(answer, str):
        return Finding("speech", ok=False, detail=answer, fix="Start it with make run; its log is in VP_HOME/logs/speech.log")
    return Finding("speech", ok=True, detail=f"{answer['stt']['model']}, {answer['tts']['engine']}")


def _brain() -> Finding:
    if not settings.VP_BRAIN_URL:
        return Finding("brain", ok=True, detail="no local language model (VP_BRAIN_URL is empty)")
    answer = _get_json(f"{settings.VP_BRAIN_URL.removesuffix('/v1')}/health")
    if isinstance(answer, str):
        return Finding("brain", ok=False, detail=answer, fix="Start it with make run; its log is in VP_HOME/logs/brain.log")
    return Finding("brain", ok=True, detail="answers")


def _livekit() -> Finding:
    if not is_configured():
        return Finding("livekit", ok=True, detail="no LiveKit server, so no phones (LIVEKIT_URL is empty)")
    try:
        with connected(timeout_s=5) as livekit:
            rooms = livekit.ask(lambda lk: lk.room.list_rooms(api.ListRoomsRequest()), again=True).rooms
    except LiveKitError as error:
        fix = "Check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, and that the server runs"
        return Finding("livekit", ok=False, detail=str(error), fix=fix)
    return Finding("livekit", ok=True, detail=f"{settings.LIVEKIT_URL} answers and takes our key, {len(rooms)} rooms")


def _telephony() -> Finding:
    try:
        found = standing()
    except LiveKitError:
        return Finding("telephony", ok=False, detail="not known while the LiveKit server is away", fix="See livekit above")
    detail = f"trunks: {found.trunks}, numbers: {found.numbers}"
    if found.drifts:
        detail += f"; changed by others on the server in the last day and put right: {' '.join(found.drifts[:3])}"
    if found.troubles:
        fix = "Celery and its beat bring them there every 15 s: see that both run, and do what the sentence says"
        return Finding("telephony", ok=False, detail=f"{detail}; {'; '.join(found.troubles[:5])}", fix=fix)
    return Finding("telephony", ok=True, detail=f"{detail}, all on the LiveKit server")


def _hook() -> Finding:
    """A hint: calls go on without the server's messages."""
    last = ProviderEvent.objects.order_by("-received_at").first()
    if last is None:
        where = f"{settings.VP_WEB_URL}/hooks/livekit"
        return Finding("livekit hook", ok=True, detail=f"no message yet; webhook.urls of the server should name {where}")
    return Finding("livekit hook", ok=True, detail=f"last message {last.received_at:%Y-%m-%d %H:%M:%S} UTC ({last.kind})")


def _clocks() -> Finding:
    before = timezone.now()
    theirs = database_now()
    off = (theirs - (before + (timezone.now() - before) / 2)).total_seconds()
    detail = f"the database's clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} this machine's"
    return Finding("clocks", ok=abs(off) < CLOCKS_APART_S, detail=detail, fix="Let both machines take their time from NTP")


def _phone_hosts() -> Finding:
    alive = _beating().filter(transport="livekit").count()
    fix = "Start one: manage.py run_voice_worker --livekit (make run does); without one nobody answers or is called"
    return Finding("phone hosts", ok=alive > 0, detail=f"{alive} beating", fix=fix)


def _beating() -> QuerySet[WorkerHost]:
    return WorkerHost.objects.filter(retired_at=None, last_beat_at__gte=timezone.now() - HOST_SILENCE)


def _hosts() -> Finding:
    alive = _beating().count()
    fix = "Start one: manage.py run_voice_worker --local (make run does)"
    return Finding("worker hosts", ok=alive > 0, detail=f"{alive} beating", fix=fix)


def _get_json(url: str) -> dict | str:
    try:
        with urllib.request.urlopen(url, timeout=3) as response:  # noqa: S310 - a URL from our own settings
            answer: dict = json.load(response)
            return answer
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}"
