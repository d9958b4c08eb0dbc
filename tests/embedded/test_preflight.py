import socket
from pathlib import Path

import pytest

from voiceplatform.embedded import preflight
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.home import Home
from voiceplatform.embedded.postgres_files import package_folder


@pytest.fixture
def taken_port() -> int:
    server = socket.create_server(("127.0.0.1", 0))
    with server:
        yield server.getsockname()[1]


def test_no_space_left(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"has \d+\.\d GB left on its disk, 1000000 GB are needed. Mend: free some space"):
        preflight.check_space(tmp_path / "not" / "there", needed=10**6 * preflight.GIB)
    preflight.check_space(tmp_path, needed=1)


def test_a_port_the_user_chose_is_taken(taken_port: int) -> None:
    with pytest.raises(EmbeddedError, match=rf"Port {taken_port} of 127.0.0.1 \(VP_WEB_PORT\) is taken. Mend"):
        preflight.web_port({"VP_WEB_PORT": str(taken_port)})


def test_a_port_that_is_none() -> None:
    with pytest.raises(EmbeddedError, match=r"VP_WEB_PORT='80a' is not a port. Example: VP_WEB_PORT=8000"):
        preflight.web_port({"VP_WEB_PORT": "80a"})


def test_the_next_free_web_port(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "WEB_PORT", taken_port)
    assert taken_port < preflight.web_port({}) < taken_port + preflight.WEB_PORTS_TRIED


def test_a_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    home = Home(tmp_path / "vp")
    home.create()
    first = home.port("valkey")
    assert home.port("valkey") == first
    with socket.create_server(("127.0.0.1", first)):
        assert home.port("valkey") != first


def test_a_processor_without_avx2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (info := tmp_path / "cpuinfo").write_text("flags : fpu sse4_2 avx\n")
    with pytest.raises(EmbeddedError, match=r"lacks AVX2.*Mend: set GEMINI_API_KEY"):
        preflight.check_cpu(info)


@pytest.mark.parametrize("library", [("glibc", "2.17"), ("", "")])
def test_an_old_or_other_c_library(library: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: library)
    with pytest.raises(EmbeddedError, match=r"need Linux with glibc 2.28 or newer"):
        preflight.check_system()


def test_a_missing_wheel() -> None:
    with pytest.raises(
        EmbeddedError, match=r"no-such-wheel package is not installed. Mend: pip install -r requirements-embedded.txt"
    ):
        package_folder("no_such_wheel")
