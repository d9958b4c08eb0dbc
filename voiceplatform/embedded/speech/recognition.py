"""Whisper through CTranslate2 with a short context: a 4 s utterance costs 7 s of encoding, not 30."""

import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from voiceplatform.embedded.speech.mel import HOP, RATE, log_mel
from voiceplatform.embedded.speech.resample import Samples

_FULL_FRAMES = 3000
_PADDING_S = 5.0  # with less silence after the words the model repeats short ones
_LONGEST_S = 26.0
_TOKENS_PER_S, _SPARE_TOKENS = 7, 16
_MOST_TOKENS = 440
_LOOP_RATIO = 2.0
_FRAME = RATE // 50
_QUIET_DBFS = -52.0
_NO_SPEECH, _FEW_WORDS = 0.6, 3
_LEAST_LOGPROB = -1.2
_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪+")


@dataclass(frozen=True)
class Transcript:
    text: str
    no_speech_prob: float
    avg_logprob: float


@dataclass(frozen=True)
class _Decoded:
    text: str
    tokens: int
    no_speech_prob: float
    avg_logprob: float
    capped: bool

    def loops(self) -> bool:
        raw = self.text.encode()
        return self.capped or len(raw) / len(zlib.compress(raw)) > _LOOP_RATIO or is_repetition(self.text)


SILENCE = Transcript("", 1.0, 0.0)


class Recogniser:
    """Not thread-safe by promise: call it from one thread at a time."""

    def __init__(self, *, folder: Path, threads: int) -> None:
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.languages = frozenset(
            token[2:-2] for token in self._tokenizer.get_vocab() if re.fullmatch(r"<\|[a-z]{2,3}\|>", token)
        )

    def warm_up(self) -> None:
        self._decode(np.zeros(RATE, dtype=np.float32), language="en", frames=400)

    def transcribe(self, samples: Samples, *, language: str = "en") -> Transcript:
        """Text of mono speech at 16 kHz; empty when nobody speaks."""
        if not has_sound(samples):
            return SILENCE
        pieces = [self._piece(part, language=language) for part in cut_long(samples)]
        spoken = [piece for piece in pieces if piece.text]
        if not spoken:
            return max(pieces, key=lambda piece: piece.avg_logprob)
        return Transcript(
            " ".join(piece.text for piece in spoken),
            min(piece.no_speech_prob for piece in spoken),
            sum(piece.avg_logprob for piece in spoken) / len(spoken),
        )

    def _piece(self, samples: Samples, *, language: str) -> Transcript:
        frames = min(_FULL_FRAMES, 2 * int((len(samples) / RATE + _PADDING_S) * RATE / HOP / 2 + 1))
        decoded = self._decode(samples, language=language, frames=frames)
        if decoded.loops() and frames < _FULL_FRAMES:
            decoded = self._decode(samples, language=language, frames=_FULL_FRAMES)
        text = _ANNOTATION.sub("", decoded.text).strip()
        if decoded.capped or not is_speech(text=text, decoded=decoded):
            text = ""
        return Transcript(text, decoded.no_speech_prob, decoded.avg_logprob)

    def _decode(self, samples: Samples, *, language: str, frames: int) -> _Decoded:
        features = ctranslate2.StorageView.from_array(log_mel(samples, frames=frames)[None])
        prompt = ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]
        cap = min(_MOST_TOKENS, int(len(samples) / RATE * _TOKENS_PER_S) + _SPARE_TOKENS)
        result = self._model.generate(
            features,
            [prompt],
            beam_size=1,
            max_length=len(prompt) + cap,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True).strip()
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        return _Decoded(text, len(tokens), result.no_speech_prob, logprob, capped=len(tokens) >= cap)


def is_repetition(text: str) -> bool:
    """The same words over and over: three times, or twice when they are a phrase."""
    words = re.findall(r"\w+", text.lower())
    for unit in range(1, len(words) // 2 + 1):
        times, rest = divmod(len(words), unit)
        if words == words[:unit] * times + words[:rest] and times >= (3 if unit < 3 else 2):
            return True
    return False


def is_speech(*, text: str, decoded: _Decoded) -> bool:
    if not any(letter.isalnum() for letter in text) or decoded.avg_logprob < _LEAST_LOGPROB:
        return False
    return not (decoded.no_speech_prob > _NO_SPEECH and len(text.split()) <= _FEW_WORDS)


def has_sound(samples: Samples) -> bool:
    """At least 60 ms louder than a quiet line."""
    return int((_loudness(samples) > _QUIET_DBFS).sum()) >= 3


def cut_long(samples: Samples) -> list[Samples]:
    """Pieces short enough for the model, cut where it is quietest."""
    longest = int(_LONGEST_S * RATE)
    pieces = []
    while len(samples) > longest:
        loudness = _loudness(samples[:longest])
        first = len(loudness) * 3 // 4
        cut = (first + int(np.argmin(np.convolve(loudness[first:], np.ones(10), mode="same")))) * _FRAME
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples]


def _loudness(samples: Samples) -> Samples:
    whole = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loudness: Samples = 10 * np.log10(np.mean(whole**2, axis=1) + 1e-10)
    return loudness


def timed(recogniser: Recogniser, samples: Samples, *, language: str) -> tuple[Transcript, float]:
    started = time.perf_counter()
    transcript = recogniser.transcribe(samples, language=language)
    return transcript, time.perf_counter() - started
