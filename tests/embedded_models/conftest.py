"""A small model in the catalogue, an index that serves its wheels, and a store of its own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.package_index import PackageIndex, serve_index
from voiceplatform.embedded.models import catalogue
from voiceplatform.embedded.models.catalogue import Model, ModelFile, Part

PIECES = [b"first " * 900, b"second " * 700, b"third " * 100]
WEIGHTS = b"".join(PIECES)
CONFIG = b'{"layers": 2}'


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _part(package: str, member: str, content: bytes) -> Part:
    return Part(package=package, version="1.0", member=member, size=len(content), sha256=sha256(content))


def tiny_model() -> Model:
    packages = [f"tiny-part{number}" for number in (1, 2, 3)]
    parts = tuple(
        _part(package, f"{package.replace('-', '_')}/data/p.bin", piece) for package, piece in zip(packages, PIECES, strict=True)
    )
    config = _part("tiny-part1", "tiny_part1/data/config.json", CONFIG)
    hub = f"{catalogue.HUGGING_FACE}/tiny/resolve/main"
    return Model(
        name="tiny",
        title="A tiny model",
        upstream="tiny/tiny",
        licence="MIT",
        entry="weights.bin",
        files=(
            ModelFile(name="weights.bin", size=len(WEIGHTS), sha256=sha256(WEIGHTS), parts=parts, hub=f"{hub}/weights.bin"),
            ModelFile(name="config.json", size=len(CONFIG), sha256=sha256(CONFIG), parts=(config,), hub=f"{hub}/config.json"),
        ),
    )


def offer_wheels(index: PackageIndex) -> None:
    for number, piece in enumerate(PIECES, start=1):
        members = {f"tiny_part{number}/data/p.bin": piece}
        if number == 1:
            members["tiny_part1/data/config.json"] = CONFIG
        index.add_wheel(f"tiny-part{number}", "1.0", members)


def offer_hub(index: PackageIndex) -> None:
    index.files = {"/tiny/resolve/main/weights.bin": WEIGHTS, "/tiny/resolve/main/config.json": CONFIG}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with serve_index() as running:
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield running


@pytest.fixture
def store_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("VP_MODELS", str(folder))
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", tiny_model())
    monkeypatch.delenv("VP_MODEL_TINY", raising=False)
    return folder


@pytest.fixture
def filled(index: PackageIndex, store_folder: Path) -> Path:
    """A store that has fetched the model."""
    from voiceplatform.embedded.models import ensure

    offer_wheels(index)
    ensure(["tiny"])
    index.asked.clear()
    return store_folder / "tiny"
