import os

from voice_worker.memory import private_mb, pss_mb, pss_of


def test_a_process_that_lives_uses_memory_and_one_that_is_gone_none() -> None:
    before = private_mb(os.getpid())
    filled = bytearray(b"x" * 50_000_000)
    grown = private_mb(os.getpid()) - before
    assert len(filled) > 0
    assert 40 < grown < 70
    assert pss_mb(os.getpid()) > 40
    assert pss_of({"a": 2**22 + 1, "b": 0}) == {"a": 0.0, "b": 0.0}
