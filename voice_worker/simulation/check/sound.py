"""Reading a recording: its two channels, where they are loud, and what the agent's side says when heard afresh."""

from pathlib import Path

import av
import numpy as np

from voice_worker.simulation.check.model import Pcm, Transcribe

RATE = 16_000
_FRAME = RATE // 50
_SPEECH_RMS = 300.0
_JOIN_S = 0.8
_PAD_S = 0.15
_LONGEST_S = 24.0


def read_stereo(path: Path) -> tuple[Pcm, Pcm]:
    """Caller's and agent's channel at RATE. Raises ValueError when the file is not a stereo recording."""
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=RATE)
    parts: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            if stream.codec_context.channels != 2:
                raise ValueError(f"{path.name} has {stream.codec_context.channels} channel, not two")
            for frame in container.decode(stream):
                parts.extend(out.to_ndarray() for out in resampler.resample(frame))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if not parts:
        raise ValueError(f"{path.name} is empty")
    both = np.concatenate(parts, axis=1)
    return both[0].astype(np.int16), both[1].astype(np.int16)


def speech_spans(pcm: Pcm) -> list[tuple[int, int]]:
    """Stretches of sound as sample ranges; pauses shorter than 0.8 s belong to them."""
    count = len(pcm) // _FRAME
    if not count:
        return []
    rms = np.sqrt(np.mean(pcm[: count * _FRAME].reshape(count, _FRAME).astype(np.float64) ** 2, axis=1))
    spans: list[tuple[int, int]] = []
    for index in np.flatnonzero(rms > _SPEECH_RMS):
        start, end = int(index) * _FRAME, (int(index) + 1) * _FRAME
        if spans and start - spans[-1][1] <= _JOIN_S * RATE and end - spans[-1][0] <= _LONGEST_S * RATE:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    pad = int(_PAD_S * RATE)
    return [(max(0, start - pad), min(len(pcm), end + pad)) for start, end in spans if end - start >= 5 * _FRAME]


async def hear(pcm: Pcm, transcribe: Transcribe) -> str:
    """The words of one channel, transcribed stretch by stretch."""
    return " ".join([await transcribe(pcm[start:end], RATE) for start, end in speech_spans(pcm)])
