"""Which language model the demo uses: a vendor's when its key works, else the local one."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

CHECK_TIMEOUT_S = 8


@dataclass(frozen=True, slots=True)
class Vendor:
    key: str
    label: str
    variable: str
    base_variable: str
    base_url: str
    path: str
    header: str


VENDORS = (
    Vendor(
        "google",
        "Gemini",
        "GEMINI_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com",
        "/v1beta/models",
        "x-goog-api-key",
    ),
    Vendor("openai", "OpenAI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1", "/models", "Authorization"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    provider: str
    why: str


def choose(values: Mapping[str, str]) -> Choice:
    """The first vendor whose key is accepted; a refused key is told in the vendor's own words."""
    refused = []
    for vendor in VENDORS:
        key = values.get(vendor.variable, "").strip()
        if not key:
            continue
        problem = _problem(vendor, key, values.get(vendor.base_variable) or vendor.base_url)
        if not problem:
            return Choice(vendor.key, f"{vendor.label}, because {vendor.variable} is set")
        refused.append(f"{vendor.variable} was refused ({problem})")
    return Choice("local", "; ".join(["local", *refused]))


def _problem(vendor: Vendor, key: str, base_url: str) -> str:
    value = f"Bearer {key}" if vendor.header == "Authorization" else key
    request = urllib.request.Request(base_url.rstrip("/") + vendor.path, headers={vendor.header: value})  # noqa: S310 - a URL of ours
    try:
        with urllib.request.urlopen(request, timeout=CHECK_TIMEOUT_S) as response:  # noqa: S310
            response.read()
    except urllib.error.HTTPError as error:
        return _words(error)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return f"{vendor.label} cannot be reached: {getattr(error, 'reason', error)}"
    return ""


def _words(error: urllib.error.HTTPError) -> str:
    try:
        answer = json.loads(error.read())
        message = (answer[0] if isinstance(answer, list) else answer)["error"]["message"]
    except (ValueError, KeyError, TypeError, IndexError):
        return f"HTTP {error.code}"
    return f"HTTP {error.code}: {str(message)[:200]}"
