"""Makes ``peft_sam_model/``: LoRA folders that peft saved over Hugging Face's ``SamModel``.

The base is the tiny ViT of ``tests/tiny.py`` with seeded weights, which samzoo wrote as a
``SamModel``; the cases are some of ``load_proofs/peft_proof.py``. ``answers.npz`` has what each
wrapped model answers: every 16th channel of the embeddings, masks and predicted IoU.

By hand, in an environment with transformers 5.23.0, peft 0.21.2 and samzoo.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
import tiny  # noqa: E402

from samzoo.runtime.formats.shapes import tensor_shapes  # noqa: E402
from samzoo.zoo import write_checkpoint  # noqa: E402

READ = ("both", "all_linear", "regex", "late", "patterns", "saved_parts", "convolution", "bias")
REFUSED = ("dora", "neck", "pissa", "embedding")


def main(work):
    config = tiny.make_config("vit", ais=False)
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    base = tiny.write_weights(work / "base", config, weights)
    write_checkpoint(base, work / "sam", to="huggingface")
    script = FOLDER.parent / "load_proofs" / "peft_proof.py"
    subprocess.run([sys.executable, script, "make", work / "sam", work], check=True)
    output = FOLDER / "peft_sam_model"
    shutil.rmtree(output, ignore_errors=True)
    for name in (*READ, *REFUSED):
        shutil.copytree(work / name, output / name, ignore=shutil.ignore_patterns("README.md"))
    kept = {}
    with np.load(work / "answers.npz") as answers:
        for key in answers:
            name, kind = key.split("/")
            if kind in ("image", "mask_input"):
                kept[kind] = answers[key]
            elif name in READ:
                kept[key] = answers[key][:, ::16] if kind == "embeddings" else answers[key]
    np.savez_compressed(output / "answers.npz", **kept)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
