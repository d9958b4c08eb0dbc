"""Programs that speak like Piper and espeak-ng, found where the real ones would be."""

import os
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[1] / "fakes" / "programs"


@pytest.fixture
def piper_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line per start of the Piper of tones: its process, weights and pace."""
    starts = tmp_path / "starts"
    starts.touch()
    monkeypatch.setenv("PYTHONPATH", str(PROGRAMS))
    monkeypatch.setenv("FAKE_PIPER_STARTS", str(starts))
    return starts


@pytest.fixture
def espeak_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")
