"""samexporter's own runtime, which takes images in the order blue, green, red."""

from common import answer, arguments, marks
from samexporter.sam_onnx import SegmentAnythingONNX

folder, image, prompts = arguments()
model = SegmentAnythingONNX(f"{folder}/encoder.onnx", f"{folder}/decoder.onnx")
embedding = model.encode(image[..., ::-1].copy())
answer(
    "samexporter",
    {
        name: model.predict_masks(embedding, marks(*prompt))[0, 0] > 0
        for name, prompt in prompts.items()
    },
)
