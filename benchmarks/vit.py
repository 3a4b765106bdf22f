"""Encoders of the same random ViT-B, in samzoo and in other libraries.

    python benchmarks/vit.py [--runs 5] [--arch vit_b] [--work WORK]

The script races samzoo's encoder graph in onnxruntime against four others: segment-anything in
torch, unchanged and with scaled dot-product attention, and its plain ONNX export in onnxruntime
and in OpenVINO. The weights are random; none is zero or one.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from racing import Contender, race, table

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import SAM_PIXEL_MEAN, SAM_PIXEL_STD, ModelConfig
from samzoo.runtime.formats.families.vit import VitConfig

ARCHITECTURES = {
    "vit_b": VitConfig(),
    "vit_l": VitConfig(embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)),
    "vit_b_512": VitConfig(image_size=512),
}
PLAIN, OURS, INT8 = "plain.onnx", "ours.onnx", "int8.onnx"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--arch", default="vit_b", choices=ARCHITECTURES)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-vit")
    options = parser.parse_args()
    print(report(options.arch, options.work, options.runs))


def report(arch: str, work: Path, runs: int) -> str:
    """Race samzoo with each peer, two at a time to save memory, and compare all embeddings."""
    found = contenders(arch, work)
    ours, products = found.pop("samzoo"), found.pop("matrix products")
    lines = []
    reference = None
    for name, peer in found.items():
        results = race({"samzoo": ours, name: peer, "products": products}, runs, keep_values=True)
        rate = _PRODUCT_GIGAFLOP / results.pop("products").median
        floor = encoder_gigaflop(ARCHITECTURES[arch]) / rate
        reference = results[name].value if reference is None else reference
        error = np.abs(results["samzoo"].value - reference).max() / np.abs(reference).max()
        times = ", ".join(f"{n} {r.median / floor:.2f}" for n, r in results.items())
        lines += [
            table(results, against=name),
            "",
            f"Difference of samzoo from segment-anything: {error:.1e} of the largest value. Times "
            f"the floor of {floor:.2f} s ({encoder_gigaflop(ARCHITECTURES[arch]):.0f} GFLOP at "
            f"{rate:.0f} GFLOP/s, measured in the same rounds): {times}.",
            "",
        ]
    return "\n".join(lines)


def contenders(arch: str, work: Path) -> dict[str, Contender]:
    """Make the two ONNX files, and return the contenders by name."""
    folder = work / arch
    make_graphs(arch, folder)
    image = partial(random_image, ARCHITECTURES[arch].image_size)
    config = ModelConfig(architecture=Architecture(image_encoder=ARCHITECTURES[arch]))
    found: dict[str, Contender] = {
        "samzoo": partial(ours, folder / OURS, config, image),
        "segment-anything, eager": partial(torch_encoder, arch, image),
        "samzoo, int8": partial(ours, folder / INT8, config, image),
        "torch, scaled dot-product attention": partial(torch_encoder, arch, image, fused=True),
        "plain ONNX, onnxruntime": partial(plain, folder / PLAIN, image),
    }
    try:
        import openvino  # noqa: F401
    except ImportError:
        print("openvino is not installed: left out")
    else:
        found["plain ONNX, OpenVINO"] = partial(openvino_encoder, folder / PLAIN, image)
    found["matrix products"] = products
    return found


def random_image(side: int) -> Any:
    """Return a random image, ``(side, side, 3)`` float32 in 0..255."""
    return np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)


def make_sam(arch: str) -> Any:
    """Make a ``Sam`` with random weights of the size of trained ones."""
    import torch

    from samzoo.training.networks.sam import Sam

    torch.manual_seed(0)
    sam = Sam(ModelConfig(architecture=Architecture(image_encoder=ARCHITECTURES[arch])))
    with torch.no_grad():
        for name, value in sam.named_parameters():
            if value.ndim == 1 or "embed" in name or "rel_pos" in name:
                value.add_(0.2 * torch.randn_like(value))
    return sam.eval()


def make_graphs(arch: str, folder: Path) -> None:
    """Export samzoo's graph and segment-anything's unchanged encoder, unless they exist."""
    if all((folder / name).exists() for name in (PLAIN, OURS, INT8)):
        return
    import torch

    from samzoo.runtime.formats.manifest import ENCODER
    from samzoo.zoo.graphs.tracing import export_graphs

    folder.mkdir(parents=True, exist_ok=True)
    sam = make_sam(arch)
    for name, precision in ((OURS, "fp32"), (INT8, "int8")):
        graphs = export_graphs(sam, precision=precision, metadata={}, roles=[ENCODER])
        (folder / name).write_bytes(graphs[ENCODER])
    side = ARCHITECTURES[arch].image_size
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            sam.image_encoder, (torch.zeros(1, 3, side, side),), folder / PLAIN, dynamo=False,
            opset_version=17, input_names=["x"], output_names=["y"],
        )  # fmt: skip


def ours(path: Path, config: ModelConfig, image: Callable[[], Any]) -> Callable[[], object]:
    """Return samzoo's graph as the runtime runs it."""
    from samzoo.runtime.engine.sessions import OnnxNetworks

    networks = OnnxNetworks(lambda _: path.read_bytes(), config)
    pixels = image()
    networks.factor_shapes()  # makes the session
    return lambda: networks.encode(pixels)


def normalised(pixels: Any) -> Any:
    """Normalise as segment-anything's ``preprocess`` does for an image of full size."""
    x = (pixels - np.array(SAM_PIXEL_MEAN, np.float32)) / np.array(SAM_PIXEL_STD, np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def torch_encoder(
    arch: str, image: Callable[[], Any], *, fused: bool = False
) -> Callable[[], object]:
    """Return segment-anything's encoder in torch."""
    import torch

    encoder = make_sam(arch).image_encoder
    if fused:
        for block in encoder.blocks:
            block.attn.forward = partial(_fused_attention, block.attn)
    x = torch.from_numpy(normalised(image()))

    def run() -> object:
        with torch.inference_mode():
            return encoder(x).numpy()

    return run


def _fused_attention(attention: Any, x: Any) -> Any:
    """Compute attention with torch's fused operator, with the relative positions as its mask."""
    import torch
    from segment_anything.modeling.image_encoder import get_rel_pos

    b, h, w, _ = x.shape
    heads = attention.num_heads
    q, k, v = attention.qkv(x).reshape(b, h * w, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    square = q.reshape(b * heads, h, w, -1)
    rows = torch.einsum("bhwc,hkc->bhwk", square, get_rel_pos(h, h, attention.rel_pos_h))
    columns = torch.einsum("bhwc,wkc->bhwk", square, get_rel_pos(w, w, attention.rel_pos_w))
    mask = (rows[..., :, None] + columns[..., None, :]).reshape(b, heads, h * w, h * w)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attention.proj(out.transpose(1, 2).reshape(b, h, w, -1))


def plain(path: Path, image: Callable[[], Any]) -> Callable[[], object]:
    """Return the plain export with onnxruntime's defaults."""
    from samzoo.runtime.dependencies import import_onnxruntime

    onnxruntime = import_onnxruntime()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = normalised(image())
    return lambda: session.run(None, {"x": x})[0]


def openvino_encoder(path: Path, image: Callable[[], Any]) -> Callable[[], object]:
    """Return the plain export with OpenVINO's defaults for the CPU, in float32."""
    import openvino

    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    x = normalised(image())
    return lambda: model(x)[0].copy()


_PRODUCT_GIGAFLOP = 10 * 2 * 4096 * 768 * 3072 / 1e9


def products() -> Callable[[], object]:
    """Return ten matrix products of the size of a ViT-B's MLP, in torch: the machine's speed."""
    import torch

    a, b = torch.rand(4096, 768), torch.rand(768, 3072)

    def run() -> object:
        for _ in range(10):
            torch.mm(a, b)
        return 0

    return run


def encoder_gigaflop(config: VitConfig) -> float:
    """Return the multiplications and additions of a ViT's products, in 10^9."""
    tokens, c = config.grid**2, config.embed_dim
    windows = math.ceil(config.grid / config.window_size) ** 2
    in_windows = windows * config.window_size**2
    n_global = len(config.global_attn_indexes)
    linear = 2 * tokens * c * c * (1 + 2 * config.mlp_ratio) * config.depth
    linear += 2 * 3 * c * c * (n_global * tokens + (config.depth - n_global) * in_windows)
    attention = n_global * 4 * tokens**2 * c
    attention += (config.depth - n_global) * 4 * in_windows * config.window_size**2 * c
    rest = 2 * tokens * c * 3 * config.patch_size**2 + 2 * tokens * (c * 256 + 9 * 256 * 256)
    return (linear + attention + rest) / 1e9


if __name__ == "__main__":
    main()
