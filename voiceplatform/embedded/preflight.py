"""What a machine must offer before anything is started."""

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import is_free

GIB = 1024**3
OLDEST_GLIBC = (2, 28)
WEB_PORT, WEB_PORTS_TRIED = 8000, 50


def check_system() -> None:
    library, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if platform.system() != "Linux" or library != "glibc" or numbers < OLDEST_GLIBC:
        found = f"{platform.system()} {library} {version}".strip()
        raise EmbeddedError(
            f"The embedded servers need Linux with glibc 2.28 or newer, this is {found}. "
            "Mend: set DATABASE_URL and REDIS_URL to servers of your own."
        )


def check_space(folder: Path, *, needed: int = GIB) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise EmbeddedError(
            f"{folder} has {free / GIB:.1f} GB left on its disk, {needed / GIB:.0f} GB are needed. "
            "Mend: free some space, or set VP_HOME to a folder on another disk."
        )


def check_cpu(cpu_info: Path = Path("/proc/cpuinfo")) -> None:
    if platform.machine() == "x86_64" and " avx2" not in cpu_info.read_text():
        raise EmbeddedError(
            "This processor lacks AVX2, which the local language model needs. "
            "Mend: set GEMINI_API_KEY or OPENAI_API_KEY, or VP_BRAIN_URL to a server elsewhere."
        )


def web_port(values: Mapping[str, str]) -> int:
    """VP_WEB_PORT, which must be free; without it 8000 or the next free port."""
    if raw := values.get("VP_WEB_PORT", "").strip():
        if not raw.isdigit() or not 0 < int(raw) < 65536:
            raise EmbeddedError(f"VP_WEB_PORT={raw!r} is not a port. Example: VP_WEB_PORT=8000")
        if not is_free(int(raw)):
            raise EmbeddedError(
                f"Port {raw} of 127.0.0.1 (VP_WEB_PORT) is taken. Mend: set another, or unset it to take the next free one."
            )
        return int(raw)
    free = (port for port in range(WEB_PORT, WEB_PORT + WEB_PORTS_TRIED) if is_free(port))
    if port := next(free, 0):
        return port
    raise EmbeddedError(
        f"Ports {WEB_PORT} to {WEB_PORT + WEB_PORTS_TRIED - 1} are all taken. Mend: set VP_WEB_PORT to a free one."
    )
