"""micro-sam, ISAT and Ultralytics: whichever is installed opens the checkpoint and encodes."""

import glob
import sys

import numpy as np
from common import answer, arguments

folder, image, prompts = arguments()
tool = sys.argv[4]
if tool == "micro-sam":
    from micro_sam.instance_segmentation import get_predictor_and_decoder
    from micro_sam.util import get_sam_model

    (both,) = set(glob.glob(f"{folder}/*.pt")) - set(glob.glob(f"{folder}/vit_b*.pt"))
    predictor, decoder = get_predictor_and_decoder("vit_b", checkpoint_path=both, device="cpu")
    apart, state = get_sam_model(
        "vit_b", checkpoint_path=f"{folder}/vit_b.pt", decoder_path=f"{folder}/vit_b_decoder.pt",
        device="cpu", return_state=True,
    )  # fmt: skip
    first, second = predictor.model.state_dict(), apart.model.state_dict()
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]).all() for key in first)
    inside = {k: v for k, v in decoder.state_dict().items() if not k.startswith("encoder")}
    assert inside.keys() == state["decoder_state"].keys()
    assert all((inside[key] == value).all() for key, value in state["decoder_state"].items())
elif tool == "isat-sam":
    from ISAT.segment_any.segment_any import SegAny

    (path,) = glob.glob(f"{folder}/sam_vit_b_*.pth")
    model = SegAny(path, use_bfloat16=False)
    predictor = next(v for v in vars(model).values() if hasattr(v, "set_image"))
elif tool == "ultralytics":
    from ultralytics import SAM

    (path,) = glob.glob(f"{folder}/*sam_b.pt")
    network = SAM(path).model
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez(sys.argv[3] + ".state.npz", **state)
    sys.exit()
predictor.set_image(image)
masks = {}
for name, (points, labels) in prompts.items():
    box = labels.max() >= 2
    found, iou, _ = predictor.predict(
        point_coords=None if box else points, point_labels=None if box else labels,
        box=np.ravel(points) if box else None, multimask_output=len(points) == 1,
    )  # fmt: skip
    masks[name] = found[int(np.argmax(iou))]
answer({"micro-sam": "micro_sam"}.get(tool, tool), masks)
