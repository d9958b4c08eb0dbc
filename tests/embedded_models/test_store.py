"""The operator's own files, checks of what lies in the store, the brain's command, the management command."""

import io
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.embedded_models.conftest import CONFIG, WEIGHTS
from voiceplatform.embedded.models import brain_command, find, store
from voiceplatform.embedded.models.catalogue import CATALOGUE
from voiceplatform.embedded.models.errors import ModelMismatchError, ModelUnavailableError, UnknownModelError


@pytest.fixture
def own_files(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(WEIGHTS)
    (folder / "config.json").write_bytes(CONFIG)
    return folder


def test_a_folder_named_by_the_operator_comes_first(filled: Path, own_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_MODEL_TINY", str(own_files))
    assert find("tiny") == own_files / "weights.bin"


def test_a_file_named_by_the_operator_may_have_any_name(
    store_folder: Path, own_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = (own_files / "weights.bin").rename(own_files / "mine.gguf")
    monkeypatch.setenv("VP_MODEL_TINY", str(renamed))
    assert find("tiny") == renamed


def test_a_wrong_file_of_the_operator_is_refused(store_folder: Path, own_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_files / "weights.bin").write_bytes(b"something else")
    monkeypatch.setenv("VP_MODEL_TINY", str(own_files))
    with pytest.raises(ModelMismatchError, match=r"own/weights\.bin"):
        find("tiny")


def test_a_missing_file_of_the_operator_is_named(store_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VP_MODEL_TINY", str(tmp_path / "nowhere"))
    with pytest.raises(ModelUnavailableError, match=r"VP_MODEL_TINY=.*nowhere"):
        find("tiny")


def test_add_copies_and_checks(store_folder: Path, own_files: Path) -> None:
    assert store.add(name="tiny", source=own_files).read_bytes() == WEIGHTS
    (own_files / "config.json").write_bytes(b"{}")
    with pytest.raises(ModelMismatchError):
        store.add(name="tiny", source=own_files)
    assert (store_folder / "tiny" / "config.json").read_bytes() == CONFIG


def test_a_file_changed_in_the_store_is_noticed(filled: Path) -> None:
    weights = filled / "weights.bin"
    weights.write_bytes(b"z" * len(WEIGHTS))
    with pytest.raises(ModelMismatchError, match=r"manage\.py models fetch tiny"):
        find("tiny")


def test_verify_hashes_even_what_looks_unchanged(filled: Path) -> None:
    weights = filled / "weights.bin"
    status = weights.stat()
    weights.write_bytes(b"z" * len(WEIGHTS))
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert find("tiny") == weights
    assert len(store.verify("tiny")) == 1


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'nope'.*brain-default"):
        find("nope")


def test_the_parts_of_every_model_make_up_its_files() -> None:
    for model in CATALOGUE.values():
        assert not model.entry or model.entry == model.files[0].name
        for file in model.files:
            assert sum(part.size for part in file.parts) == file.size, file.name
            assert all(len(part.sha256) == 64 for part in file.parts)


def test_there_is_no_brain_without_weights(store_folder: Path) -> None:
    assert brain_command(1) is None


def test_vp_brain_chooses_the_weights(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_BRAIN", "huge")
    with pytest.raises(ModelUnavailableError, match="default, small"):
        brain_command(1)


def test_the_command_lists_and_verifies(filled: Path) -> None:
    out = io.StringIO()
    call_command("models", "list", stdout=out)
    call_command("models", "verify", "tiny", stdout=out)
    assert "tiny: A tiny model" in out.getvalue()
    assert "brain-small" in out.getvalue()
    assert "not here yet" in out.getvalue()
    (filled / "config.json").write_bytes(b"{}")
    with pytest.raises(CommandError, match=r"config\.json: sha256"):
        call_command("models", "verify", "tiny")
