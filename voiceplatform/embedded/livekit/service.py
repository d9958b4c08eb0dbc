"""LiveKit on loopback ports: rooms, trunks and dispatch rules, with the broker as its memory."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import write_private
from voiceplatform.embedded.livekit import program
from voiceplatform.embedded.ready import answers
from voiceplatform.embedded.service import Context, Launch, Service


def configuration(
    *, port: int, tcp_port: int, udp_port: int, key: str, secret: str, redis_url: str, web_url: str = ""
) -> dict[str, Any]:
    """What the server reads. With `web_url` it tells that web process what happens in its rooms."""
    hook = {"webhook": {"api_key": key, "urls": [f"{web_url.rstrip('/')}/hooks/livekit"]}} if web_url else {}
    return {
        **hook,
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {key: secret},
        "redis": _redis(redis_url),
        "rtc": {
            "tcp_port": tcp_port,
            "udp_port": udp_port,
            "node_ip": "127.0.0.1",
            "use_external_ip": False,
            # Without it a connection succeeds and every publish hangs.
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        },
        "logging": {"level": "info"},
    }


def _redis(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    found: dict[str, Any] = {"address": f"{parts.hostname}:{parts.port or 6379}", "db": int(parts.path.strip("/") or 0)}
    if parts.username:
        found["username"] = unquote(parts.username)
    if parts.password:
        found["password"] = unquote(parts.password)
    if parts.scheme == "rediss":
        found["use_tls"] = True
    return found


def _launch(context: Context) -> Launch:
    path = program.find(context.environment())
    if path is None:
        raise EmbeddedError(program.HOW_TO_GET_IT)
    known, home = context.environment(), context.home
    if not (redis_url := known.get("REDIS_URL")):
        raise EmbeddedError("livekit needs a broker. Mend: start it together with valkey, or set REDIS_URL.")
    secrets, port = home.secrets(), home.port("livekit")
    config = configuration(
        port=port,
        tcp_port=home.port("livekit-tcp"),
        udp_port=home.port("livekit-udp"),
        key=secrets.livekit_api_key,
        secret=secrets.livekit_api_secret,
        redis_url=redis_url,
        web_url=known.get("VP_WEB_URL", ""),
    )
    file = home.run / "livekit.json"
    write_private(file, json.dumps(config, indent=1))  # JSON is YAML; a command line could be read by every user

    url = f"ws://127.0.0.1:{port}"
    return Launch(
        argv=[str(path), "--config", str(file)],
        ready=answers(f"http://127.0.0.1:{port}/"),
        exports={
            "LIVEKIT_URL": url,
            "LIVEKIT_API_KEY": secrets.livekit_api_key,
            "LIVEKIT_API_SECRET": secrets.livekit_api_secret,
        },
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        cwd=home.run,
        url=url,
    )


# The server gives its rooms some time to end on SIGTERM; on loopback nobody needs it.
LIVEKIT = Service(name="livekit", launch=_launch, replaced_by=("LIVEKIT_URL",), optional=True, start_timeout=30, grace=2)
