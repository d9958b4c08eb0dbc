"""What the user gave (process environment over `.env`) and what the supervisor hands on.

The supervisor runs before there is a database, so it cannot read Django's settings.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import environ

PROJECT = Path(__file__).resolve().parents[2]


def given() -> dict[str, str]:
    """The user's variables; those a surrounding supervisor set (it lists them in VP_SUPERVISED) are left out."""
    environ.Env.read_env(str(PROJECT / ".env"), overwrite=False)
    values = {name: value for name, value in os.environ.items() if value.strip()}
    for name in values.pop("VP_SUPERVISED", "").split():
        values.pop(name, None)
    return values


def is_supervised(name: str, values: Mapping[str, str] = os.environ) -> bool:
    """Whether a supervisor gave this process the variable, so that what it names is the embedded profile's own."""
    return name in values.get("VP_SUPERVISED", "").split()


def home_path(values: Mapping[str, str]) -> Path:
    return Path(values.get("VP_HOME") or PROJECT / ".vp").resolve()


def for_children(*, values: Mapping[str, str], exports: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of an application process: the user's values win over the supervisor's."""
    added = {name: value for name, value in exports.items() if name not in values}
    return {**added, **values, "VP_HOME": str(home), "VP_SUPERVISED": " ".join(sorted(added))}
