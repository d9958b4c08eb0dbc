"""The services of the embedded profile, in the order they start."""

import subprocess
import sys

import redis

from voiceplatform.embedded.environment import PROJECT
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.livekit.service import LIVEKIT
from voiceplatform.embedded.postgres import POSTGRES
from voiceplatform.embedded.preflight import check_cpu, web_port
from voiceplatform.embedded.ready import answers
from voiceplatform.embedded.service import Context, Launch, Service
from voiceplatform.embedded.valkey import VALKEY

SPEECH_MODELS = ("whisper-base", "voice-joe")
LIVEKIT_KEYS = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
PHONE_DRAIN_S = 5
"""How long calls go on when somebody stops everything; on servers they get half an hour."""
MANAGE = [sys.executable, str(PROJECT / "manage.py")]


def _brain(context: Context) -> Launch:
    from voiceplatform.embedded import models  # noqa: PLC0415 imported only where a local model runs

    check_cpu()
    port = context.home.port("brain")
    try:
        if not (argv := models.brain_command(port)):
            models.ensure([models.brain_name()])
            argv = models.brain_command(port)
    except models.ModelError as error:
        raise EmbeddedError(str(error)) from error
    if not argv:
        raise EmbeddedError("The xllamacpp package is not installed. Mend: pip install -r requirements-embedded.txt")
    root = f"http://127.0.0.1:{port}"
    url = f"{root}/v1"
    return Launch(argv=argv, ready=answers(f"{root}/health"), exports={"VP_BRAIN_URL": url}, url=url, cwd=PROJECT)


def _speech(context: Context) -> Launch:
    from voiceplatform.embedded import models, speech  # noqa: PLC0415 as above

    port = context.home.port("speech")
    try:
        models.ensure(SPEECH_MODELS)
        argv = speech.speech_command(port)
    except models.ModelError as error:
        raise EmbeddedError(str(error)) from error
    url = f"http://127.0.0.1:{port}"
    return Launch(argv=argv, ready=answers(f"{url}/health"), exports={"VP_SPEECH_URL": url}, url=url, cwd=PROJECT)


def _web(context: Context) -> Launch:
    port = web_port(context.values)
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "gunicorn", "voiceplatform.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    argv += ["--threads", "8", "--timeout", "60", "--graceful-timeout", "5", "--access-logfile", "-", "--no-control-socket"]
    return Launch(
        argv=argv,
        ready=answers(f"{url}/healthz"),
        # Who can reach this web process is on this machine already, so webhooks may come back to it.
        exports={"VP_WEB_URL": url, "VP_OUTBOUND_LOOPBACK": "true"},
        url=url,
        cwd=PROJECT,
        before=lambda: _collect(context),
    )


def _collect(context: Context) -> None:
    """Style sheets and scripts of the admin, gathered for WhiteNoise."""
    command = [*MANAGE, "collectstatic", "--noinput"]
    done = subprocess.run(command, env=context.environment(), cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmbeddedError(f"manage.py collectstatic failed: {done.stderr.strip()[-500:]}")


def _celery(context: Context) -> Launch:
    argv = [sys.executable, "-m", "celery", "-A", "voiceplatform.celery", "worker", "--loglevel", "INFO", "--concurrency", "2"]
    url = context.environment().get("REDIS_URL", "")

    def listens() -> bool:
        """The worker subscribes to the pattern of its control messages once it takes tasks."""
        try:
            with redis.Redis.from_url(url, socket_timeout=2) as client:
                return any(int(entry["psub"]) for entry in client.client_list(_type="pubsub"))
        except redis.RedisError:
            return False

    return Launch(argv=[*argv, "--without-gossip", "--without-mingle"], ready=listens, cwd=PROJECT)


def _beat(context: Context) -> Launch:
    schedule = context.home.run / "celerybeat-schedule"
    argv = [sys.executable, "-m", "celery", "-A", "voiceplatform.celery", "beat", "--loglevel", "INFO"]
    return Launch(argv=[*argv, "--schedule", str(schedule), "--pidfile="], ready=None, cwd=PROJECT)


def _host(_context: Context) -> Launch:
    return Launch(argv=[*MANAGE, "run_voice_worker", "--local"], ready=None, cwd=PROJECT)


def _phone_host(context: Context) -> Launch:
    known = context.environment()
    if missing := [name for name in LIVEKIT_KEYS if not known.get(name)]:
        raise EmbeddedError(f"phone-host needs {' and '.join(missing)} beside LIVEKIT_URL: the key pair of that server.")
    argv = [*MANAGE, "run_voice_worker", "--livekit", "--drain", str(PHONE_DRAIN_S)]
    return Launch(argv=argv, ready=None, cwd=PROJECT)


def _carrier(context: Context) -> Launch:
    if not context.environment().get("REDIS_URL"):
        raise EmbeddedError("carrier needs a broker. Mend: start it together with valkey, or set REDIS_URL.")
    log = context.home.root / "files" / "carrier" / "log.jsonl"
    return Launch(argv=[*MANAGE, "run_simulated_carrier", "--log", str(log)], ready=None, cwd=PROJECT)


SERVERS: tuple[Service, ...] = (POSTGRES, VALKEY)  # everything else may need them
SERVICES: tuple[Service, ...] = (
    *SERVERS,
    Service(name="brain", launch=_brain, replaced_by=("VP_BRAIN_URL",), optional=True, start_timeout=180),
    Service(name="speech", launch=_speech, replaced_by=("VP_SPEECH_URL",), optional=True, start_timeout=120),
    Service(name="web", launch=_web, migrated=True),
    LIVEKIT,
    Service(name="celery", launch=_celery, migrated=True, grace=20),
    Service(name="beat", launch=_beat, migrated=True),
    Service(name="host", launch=_host, migrated=True, after=("brain", "speech"), grace=20),
    Service(
        name="phone-host",
        launch=_phone_host,
        needs="LIVEKIT_URL",
        migrated=True,
        after=("livekit", "web", "brain", "speech"),
        optional=True,
        grace=PHONE_DRAIN_S + 20,
    ),
    Service(
        name="carrier",
        launch=_carrier,
        needs="LIVEKIT_URL",
        replaced_by=("LIVEKIT_URL",),
        after=("livekit", "speech", "phone-host"),
        optional=True,
    ),
)
