"""The only reader of the environment.

A value comes from the process environment, else from `.env` beside manage.py, else from the file the
supervisor of the embedded profile writes (`$VP_HOME/run/env`). A missing or malformed value stops the
process with one line that names the variable and shows an example.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[2]
_env = environ.Env()


def _load() -> Path:
    _read(PROJECT / ".env")
    home = Path(os.environ.get("VP_HOME") or PROJECT / ".vp").resolve()
    _read(home / "run" / "env")
    return home


def _read(path: Path) -> None:
    if path.is_file():
        environ.Env.read_env(str(path), overwrite=False)


HOME = _load()


def _get(name: str, cast: Callable[[str], T], default: T | None, example: str) -> T:
    raw = os.environ.get(name, "").strip()
    if not raw:
        if default is None:
            raise ImproperlyConfigured(f"{name} is not set. Example: {name}={example}")
        return default
    try:
        return cast(raw)
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{name}={raw!r} is not valid. Example: {name}={example}") from error


def _as_bool(raw: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if raw.lower() not in words:
        raise ValueError(raw)
    return words[raw.lower()]


def text(name: str, default: str | None = None, *, example: str = "value") -> str:
    return _get(name, str, default, example)


def number(name: str, default: int | None = None, *, example: str = "1", minimum: int = 0) -> int:
    value = _get(name, int, default, example)
    if value < minimum:
        raise ImproperlyConfigured(f"{name}={value} is too small; the least is {minimum}. Example: {name}={example}")
    return value


def flag(name: str, default: bool) -> bool:
    return _get(name, _as_bool, default, "true")


def path(name: str, default: Path) -> Path:
    return Path(text(name, str(default))).resolve()


def words(name: str, default: list[str], *, example: str = "one,two") -> list[str]:
    return [word.strip() for word in text(name, ",".join(default), example=example).split(",") if word.strip()]


def one_of(name: str, choices: tuple[str, ...], default: str) -> str:
    value = text(name, default, example=choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(choices)}. Example: {name}={choices[0]}")
    return value


def database() -> dict[str, object]:
    """DATABASE_URL, else the parts DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD."""
    example = "postgres://user:password@127.0.0.1:5432/voice"
    if not os.environ.get("DATABASE_URL") and os.environ.get("DATABASE_HOST"):
        user, password = (quote(text(f"DATABASE_{part}", example="voice"), safe="") for part in ("USER", "PASSWORD"))
        host, port, name = text("DATABASE_HOST"), number("DATABASE_PORT", 5432), text("DATABASE_NAME", example="voice")
        os.environ["DATABASE_URL"] = f"postgres://{user}:{password}@{host}:{port}/{name}"
    url = text("DATABASE_URL", example=f"{example} (or start the embedded servers: make demo)")
    config: dict[str, object] = _env.db_url_config(url)
    if config.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"DATABASE_URL must name a PostgreSQL database. Example: DATABASE_URL={example}")
    return config


def mail() -> dict[str, object]:
    """Django's settings for EMAIL_URL; without it mails are written to files under VP_HOME."""
    url = text("EMAIL_URL", "")
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend", "EMAIL_FILE_PATH": str(HOME / "mail")}
    try:
        config: dict[str, object] = _env.email_url_config(url)
    except (ValueError, KeyError) as error:
        example = "smtp+tls://user:password@smtp.example.com:587"
        raise ImproperlyConfigured(f"EMAIL_URL is not valid. Example: EMAIL_URL={example}") from error
    return config
