"""AnyLabeling and X-AnyLabeling: the model is opened by its config, as their menus do."""

import sys
from importlib.metadata import PackageNotFoundError, version

import anylabeling.config
import yaml
from PyQt6.QtCore import QCoreApplication

application = QCoreApplication(sys.argv[:1])
anylabeling.config.current_config_file = "{}"  # the user's settings: none

from anylabeling.services.auto_labeling.segment_anything import SegmentAnything  # noqa: E402
from common import answer, arguments, marks  # noqa: E402

folder, image, prompts = arguments()
path = f"{folder}/config.yaml"
with open(path, encoding="utf-8-sig") as file:
    config = {**yaml.safe_load(file), "config_file": path}
tool = SegmentAnything(config, on_message=print)
embedding = tool.model.encode(image)
masks = {}
for name, prompt in prompts.items():
    found = tool.model.predict_masks(embedding, marks(*prompt))
    while found.ndim > 2:  # as the tool's own post-processing takes the first
        found = found[0]
    masks[name] = found > 0
try:
    version("anylabeling")
except PackageNotFoundError:
    answer("x-anylabeling-cvhub", masks)
else:
    answer("anylabeling", masks)
