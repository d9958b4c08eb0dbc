"""Structured logging: every line carries the tenant, call and request ids that are bound at that moment."""

import logging
import sys
from typing import Any

import structlog

from voiceplatform.lib.redaction import mask_log_event

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    mask_log_event,
]


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """A `LOGGING` value that sends structlog's and the standard library's records through one formatter."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": level},
    }


def to_plain_record(record: logging.LogRecord) -> bool:
    """A filter that turns what structlog made into text, for a handler that sends records to another process."""
    if isinstance(record.msg, dict):
        facts = dict(record.msg)
        event = str(facts.pop("event", ""))
        for name in ("level", "logger", "timestamp"):
            facts.pop(name, None)
        if facts.pop("exc_info", None) and record.exc_info is None:
            record.exc_info = sys.exc_info()
        record.msg = " ".join([event, *(f"{key}={value!r}" for key, value in facts.items())])
        record.args = None
        for name in ("_logger", "_name", "_from_structlog"):
            record.__dict__.pop(name, None)
    return True
