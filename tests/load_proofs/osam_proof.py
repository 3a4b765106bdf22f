"""osam: the package's own ``register.py``, then a request as labelme sends it."""

import runpy

import numpy as np
import osam
from common import answer, arguments

folder, image, prompts = arguments()
model = runpy.run_path(f"{folder}/register.py")["Model"]
masks = {}
for name, (points, labels) in prompts.items():
    request = osam.types.GenerateRequest(
        model=model.name,
        image=image,
        prompt=osam.types.Prompt(points=points, point_labels=labels),
    )
    (annotation,) = osam.apis.generate(request).annotations
    box = annotation.bounding_box
    masks[name] = np.zeros(image.shape[:2], bool)
    masks[name][box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = annotation.mask
answer("osam", masks)
