"""The ways through the verbs that run a model on images, and what each option does there."""

from .shared import LOOK, SCHEDULER, THRESHOLDS, model, reading, refused
from .ways import Changes, Enables, Refused, Way

VOLUME = ("--gap-closing", "--min-z-extent")
FOLLOWING = ("--projection box", "--iou-threshold 0.5", "--box-extension 2")

DIM = "segment dims.tif -o l.tif --stack volume --model package"
FEW_SEEDS = f"{DIM} --foreground-threshold 0.3"
SEEDS = "--center-threshold 0.7 --boundary-threshold 0.7"
"""With these, the dim volume has seeds; with a lower foreground threshold it has objects."""

SUGGEST = "suggest cells.tif -o s.png --json"
PROMPT = "prompt cells.tif -o l.tif --model package"
IMAGE_WAYS = [
    Way("segment", "an image", "segment cells.tif -o l.tif --model package", {
        **model("segment dim.tif -o l.tif"),
        "--diameter": Changes("--diameter 20"),
        **THRESHOLDS,
        "--mode": Changes("--mode amg"),
        "--overlay": Changes("--overlay o.png"),
        "--overlay-style": Changes("--overlay o.png --overlay-style outlines",
                                   other="--overlay o.png"),
        "--table": Changes("--table t.csv"),
        "--outlines": Changes("--outlines imagej", other="--outlines geojson"),
        "--tile-shape": Changes("--tile-shape 30 30"),
        "--halo": Changes("--halo 20 20"),
        "--placements": Changes("--placements 2"),
        "--average": Changes("--average 2"),
        **reading("segment cells.tif -o l.tif --model package"),
        "--stack": Changes("--stack volume", "segment stack.tif -o l.tif --model package",
                           other="--stack frames"),
        **refused([f"{name} 1" for name in VOLUME], "is for volumes"),
        "--workers": Refused("--workers 0", "--workers: found 0"),
        "--scheduler": Refused("--scheduler nowhere", SCHEDULER),
    }),
    Way("segment", "a volume", "segment stack.tif -o l.tif --stack volume --model package", {
        **model("segment stack.tif -o l.tif --stack volume"),
        "--adapter": Changes("--model toys --adapter dark",
                             "segment dims.tif -o l.tif --stack volume", other="--model toys"),
        "--model": Changes("--model toys", "segment dims.tif -o l.tif --stack volume",
                           other="--model package"),
        "--diameter": Changes("--diameter 20"),
        "--foreground-threshold": Changes("--foreground-threshold 0.3", f"{DIM} {SEEDS}"),
        "--center-threshold": Changes("--center-threshold 0.4 --boundary-threshold 0.7", FEW_SEEDS,
                                      other=SEEDS),
        "--boundary-threshold": Changes("--boundary-threshold 0.4 --center-threshold 0.7",
                                        FEW_SEEDS, other=SEEDS),
        "--min-size": Changes("--min-size 100"),
        "--mode": Refused("--mode amg", "--mode"),
        "--overlay": Changes("--overlay o.png"),
        "--overlay-style": Changes("--overlay o.png --overlay-style outlines",
                                   other="--overlay o.png"),
        "--table": Changes("--table t.csv"),
        "--outlines": Changes("--outlines imagej", other="--outlines geojson"),
        "--tile-shape": Changes("--tile-shape 30 30"),
        "--halo": Refused("--tile-shape 30 30 --halo 40 40", "field of view"),
        "--placements": Changes("--placements 2"),
        "--average": Changes("--average 2"),
        "--level": Refused("--level 1", "level"),
        "--series": Refused("--series 1", "series"),
        "--channel": Refused("--channel 1", "channel"),
        "--plane": Refused("--plane 1", "plane"),
        "--stack": Changes("--stack frames", "segment stack.tif -o l.tif --model package",
                           other="--stack volume"),
        "--gap-closing": Changes("--gap-closing 1", "segment gap.tif -o l.tif --stack volume "
                                 "--model package"),
        "--min-z-extent": Changes("--min-z-extent 2"),
        "--workers": Refused("--workers 0", "--workers: found 0"),
        "--scheduler": Refused("--scheduler nowhere", SCHEDULER),
    }),
    Way("prompt", "an image", f"{PROMPT} --point 20 20", {
        **model("prompt cells.tif -o l.tif --point 20 20"),
        "--model": Changes("--model toys", "prompt dim.tif -o l.tif --point 20 20",
                           other="--model package"),
        "--adapter": Changes("--model toys --adapter dark", "prompt dim.tif -o l.tif "
                             "--point 20 20", other="--model toys"),
        "--point": Changes("--point 96 64", PROMPT, other="--point 20 20"),
        "--label": Changes("--label 1 --label 0", f"{PROMPT} --point 20 20 --point 26 26"),
        "--box": Changes("--box 80 50 110 80", PROMPT, other="--box 10 10 30 30"),
        "--prompts": Enables("--prompts prompts.json", PROMPT),
        "--mask": Enables("--mask mask.tif", PROMPT),
        "--overlay": Changes("--overlay o.png"),
        "--store": Changes("--store store"),
        "--diameter": Changes("--diameter 20"),
        **reading(f"{PROMPT} --point 20 20"),
        "--slice": Refused("--slice 1", "slice"),
        **refused(FOLLOWING, "pass --slice Z as well"),
    }),
    Way("prompt", "a stack", "prompt stack.tif -o l.tif --slice 2 --model package --point 22 20", {
        **LOOK,
        "--model": Refused("", "", "prompt stack.tif -o l.tif --slice 2 --point 22 20 "
                           "--model nothing"),
        "--adapter": Refused("--adapter x", "adapter"),
        "--point": Changes("--point 50 40", "prompt stack.tif -o l.tif --slice 3 --model package",
                           other="--point 23 20"),
        "--label": Refused("--label 1 --label 0", "--label"),
        "--box": Refused("--box 1 1 5 5 --box 2 2 6 6", "box"),
        "--prompts": Refused("--prompts prompts.json", "--prompts"),
        "--mask": Refused("--mask mask.tif", "--"),
        "--overlay": Refused("--overlay o.png", "is for images"),
        "--store": Changes("--store store"),
        "--diameter": Changes("--diameter 20"),
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], "--"),
        "--slice": Changes("--slice 4", "prompt stack.tif -o l.tif --model package "
                           "--point 22 20 --iou-threshold 1", other="--slice 1"),
        "--projection": Changes("--projection points"),
        "--iou-threshold": Changes("--iou-threshold 0.1"),
        "--box-extension": Changes("--box-extension 4"),
    }),
    Way("embed", "a file", "embed cells.tif -o e.safetensors --model package", {
        **model("embed dim.tif -o e.safetensors"),
        "--diameter": Changes("--diameter 20"),
        "--store": Refused("--store s", "not both"),
        **reading("embed cells.tif -o e.safetensors --model package"),
    }),
    Way("embed", "a store", "embed cells.tif --store s --model package", {
        **model("embed dim.tif --store s"),
        "--diameter": Changes("--diameter 20"),
        "--output": Refused("-o e.safetensors", "not both"),
        "--force": Refused("--force", "omit --force"),
        "--store": Changes("--store t", "embed cells.tif --model package", other="--store s"),
        **reading("embed cells.tif --store s --model package"),
    }),
    Way("suggest", "an image", f"{SUGGEST} --model package", {
        **LOOK,
        "--model": Changes("--model toys", SUGGEST, other="--model package"),
        "--all": Refused("--all", "SAMZOO_INDEX", SUGGEST),
        "--diameter": Changes("--diameter 20"),
        **reading(f"{SUGGEST} --model package"),
    }, echoes=("seconds", "next"), besides=("s.png",)),
]  # fmt: skip
