"""The annotation tools: what each is installed from, and the script that runs it.

What the tools' windows alone need is left out.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """A tool in Python.

    Attributes:
        script: Beside this file; called as README.md says.
        requirements: Its own package first, without what they ask for.
        complete: Further packages, installed with what they ask for.
    """

    script: str
    requirements: tuple[str, ...]
    complete: tuple[str, ...] = ()


CV = "opencv-python-headless==4.12.0.88"
QT = ("PyQt6==6.9.1", "PyQt6-Qt6==6.9.2", "PyQt6-sip==13.13.0", "qimage2ndarray==1.10.0")
WEB = ("requests==2.34.2", "urllib3==2.8.0", "certifi", "idna", "charset-normalizer==3.5.2")
PYDANTIC = (
    "pydantic==2.12.5", "pydantic_core==2.41.5", "annotated-types==0.8.0",
    "typing-inspection==0.4.5",
)  # fmt: skip

GRAPH_TOOLS = {
    "samexporter": Tool("samexporter_proof.py", ("samexporter==0.5.0", CV)),
    "anylabeling": Tool(
        "anylabeling_proof.py",
        ("anylabeling==0.4.43", CV, *QT, "imgviz==2.1.0", "cmap==0.8.0", "termcolor==3.3.0"),
    ),
    "x-anylabeling": Tool(
        "anylabeling_proof.py",
        ("x-anylabeling-cvhub==4.2.1", CV, *QT, *WEB, *PYDANTIC, "termcolor==3.3.0",
         "natsort==8.4.0", "importlib_metadata==10.2.0", "lazy-importer==0.1.0",
         "Markdown==3.11.3", "openai==3.57.0",
         "sniffio==1.3.1", "jsonlines==4.0.0", "json_repair==0.64.6", "tokenizers==0.23.3",
         "six==1.17.0"),
    ),
    "osam": Tool(
        "osam_proof.py",
        ("osam==0.8.1", *PYDANTIC, *WEB, "loguru==0.7.3", "imgviz==2.1.0", "gdown==6.5.1",
         "beautifulsoup4==4.15.0", "soupsieve", "cmap==0.8.0"),
    ),
}  # fmt: skip
"""By target: they run the two ONNX files in onnxruntime, and take a model of any size."""

TRANSFORMERS = Tool(
    "transformers_proof.py", ("transformers==5.23.0", "tokenizers==0.23.3", "regex")
)

PEFT = Tool(
    "peft_proof.py",
    ("peft==0.21.2", *TRANSFORMERS.requirements, "accelerate==1.15.0"),
)

CHECKPOINT_TOOLS = {
    "isat-sam": Tool(
        "checkpoint_proof.py",
        ("isat-sam==1.5.2", CV, "hydra-core", "antlr4-python3-runtime==4.9.3", "omegaconf",
         "iopath", "portalocker", "pydicom"),
    ),
    "micro-sam": Tool(
        "checkpoint_proof.py",
        ("micro-sam==1.8.14", "torch-em==0.10.9", "python-elf==0.9.2",
         "segment-anything-py==1.0.1"),
        ("scikit-learn", "pandas", "numba", "h5py", "zarr", "imagecodecs", "kornia", "xarray",
         "xxhash", "pooch", "natsort", "mrcfile", "skan", "matplotlib", "tensorboard"),
    ),
    "ultralytics": Tool("checkpoint_proof.py", ("ultralytics==8.4.190", CV)),
}  # fmt: skip
"""They load weights into a SAM of a size that they know."""

NODE = ("@huggingface/transformers@4.3.1", "onnxruntime-web@1.30.0")


def versions():
    """Return name and version of every tool, as its registry names it."""
    tools = [*GRAPH_TOOLS.values(), TRANSFORMERS, *CHECKPOINT_TOOLS.values()]
    pins = [tool.requirements[0].split("==") for tool in tools]
    return [*map(tuple, pins), *(tuple(package.rsplit("@", 1)) for package in NODE)]
