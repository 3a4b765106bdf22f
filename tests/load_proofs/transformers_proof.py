"""Hugging Face's SamModel and SamProcessor from the folder."""

import numpy as np
import torch
from common import answer, arguments
from transformers import SamModel, SamProcessor

folder, image, prompts = arguments()
model = SamModel.from_pretrained(folder).eval()
processor = SamProcessor.from_pretrained(folder)
masks = {}
for name, (points, labels) in prompts.items():
    box = labels.max() >= 2
    given = (
        {"input_boxes": [[np.ravel(points).tolist()]]}
        if box
        else {"input_points": [[points.tolist()]], "input_labels": [[labels.tolist()]]}
    )
    inputs = processor(images=image, return_tensors="pt", **given)
    inputs = {key: v.float() if v.dtype == torch.float64 else v for key, v in inputs.items()}
    with torch.no_grad():
        found = model(**inputs, multimask_output=len(points) == 1)
    logits = processor.image_processor.post_process_masks(
        found.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
    )[0][0]
    best = int(found.iou_scores[0, 0].argmax())
    masks[name] = logits[best].numpy() > 0
answer("transformers", masks)
