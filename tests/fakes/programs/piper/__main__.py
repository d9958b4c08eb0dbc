"""Piper's command line, made of tones: a line in, a WAV file out, announced on standard error.

The word DIE ends it, HANG stops it for good. Each start adds a line to the file named by FAKE_PIPER_STARTS.
"""

import argparse
import math
import os
import struct
import sys
import time
import wave
from pathlib import Path

RATE = 22_050
S_PER_CHARACTER = 0.02
HERTZ = 220

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--output-dir", required=True)
parser.add_argument("--length-scale", type=float, required=True)
options = parser.parse_args()
if starts := os.environ.get("FAKE_PIPER_STARTS"):
    with open(starts, "a") as file:
        file.write(f"{os.getpid()} {options.model} {options.length_scale}\n")

for number, line in enumerate(sys.stdin):
    text = line.strip()
    if "DIE" in text:
        sys.exit("RuntimeError: the voice broke")
    if "HANG" in text:
        time.sleep(60)
    count = round(RATE * S_PER_CHARACTER * len(text) * options.length_scale)
    path = Path(options.output_dir) / f"{number}.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        samples = (round(8000 * math.sin(2 * math.pi * HERTZ * at / RATE)) for at in range(count))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    sys.stderr.write(f"INFO:__main__:Wrote {path}\n")
