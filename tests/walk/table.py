"""The ways through the verbs, and what each option does there."""

import importlib.util

from .ways import Changes, Does, Enables, Refused, Way

NOT_WALKED = ("train", "export", "share", "publish", "convert")
"""Verbs that need torch, a hub or a whole checkpoint; their own tests try their options."""

LOOK: dict[str, Does] = {
    "--threads": Changes("--threads 1"),
    "--provider": Refused("--provider gpu", "'gpu'"),
}
SCHEDULER = "--scheduler" if importlib.util.find_spec("distributed") else "'distributed'"
"""What a wrong address is told with: by Dask, or as the package that is missing."""

VOLUME = ("--gap-closing", "--min-z-extent")
FOLLOWING = ("--projection box", "--iou-threshold 0.5", "--box-extension 2")


def refused(words, message, command=""):
    """The same refusal for several options, each with its value."""
    return {each.split()[0]: Refused(each, message, command) for each in words}


def model(command):
    """What the options of the model do; ``command`` has no ``--model``."""
    return {
        **LOOK,
        "--model": Changes("--model toys", command, other="--model package"),
        "--adapter": Changes("--model toys --adapter dark", command, other="--model toys"),
    }


PROMPT = "prompt cells.tif -o l.tif --model package"
WAYS = [
    Way("segment", "an image", "segment cells.tif -o l.tif --model package", {
        **model("segment dim.tif -o l.tif"),
        "--mode": Changes("--mode amg"),
        "--overlay": Changes("--overlay o.png"),
        "--table": Changes("--table t.csv"),
        "--tile-shape": Changes("--tile-shape 30 30"),
        "--halo": Changes("--halo 20 20"),
        "--placements": Changes("--placements 2"),
        "--level": Refused("--level 1", "level"),
        "--series": Refused("--series 1", "series"),
        "--channel": Refused("--channel 1", "channel"),
        "--plane": Refused("--plane 1", "plane"),
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
        "--mode": Refused("--mode amg", "--mode"),
        "--overlay": Changes("--overlay o.png"),
        "--table": Changes("--table t.csv"),
        "--tile-shape": Changes("--tile-shape 30 30"),
        "--halo": Refused("--tile-shape 30 30 --halo 40 40", "field of view"),
        "--placements": Changes("--placements 2"),
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
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], "--"),
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
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], "--"),
        "--slice": Changes("--slice 4", "prompt stack.tif -o l.tif --model package "
                           "--point 22 20 --iou-threshold 1", other="--slice 1"),
        "--projection": Changes("--projection points"),
        "--iou-threshold": Changes("--iou-threshold 0.1"),
        "--box-extension": Changes("--box-extension 4"),
    }),
    Way("embed", "a file", "embed cells.tif -o e.safetensors --model package", {
        **model("embed dim.tif -o e.safetensors"),
        "--store": Refused("--store s", "not both"),
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], "--"),
    }),
    Way("embed", "a store", "embed cells.tif --store s --model package", {
        **model("embed dim.tif --store s"),
        "--output": Refused("-o e.safetensors", "not both"),
        "--force": Refused("--force", "omit --force"),
        "--store": Changes("--store t", "embed cells.tif --model package", other="--store s"),
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], ""),
    }),
    *(Way(verb, "a package", f"{verb} package") for verb in ("show", "card")),
    Way("list", "all", "list"),
    Way("verify", "the shipped model", "verify nuclei-vit-t"),
    Way("pull", "the shipped model", "pull nuclei-vit-t", fails="needs no pull"),
    Way("remove", "the shipped model", "remove nuclei-vit-t", fails="ships with samzoo"),
    Way("doctor", "this machine", "doctor"),
    Way("gallery", "a package", "gallery package -o site"),
    Way("index", "a package", "index package -o i.json"),
    Way("methods", "the table", "methods", {
        "--arch": Changes("--arch vit_t"), "--markdown": Changes("--markdown"),
    }),
    Way("methods", "the page", "methods --markdown", {
        "--arch": Refused("--arch vit_t", "omit --arch"),
        "--markdown": Changes("--markdown", "methods"),
    }),
    Way("merge", "LoRA", "merge lora -o m", {
        "--base": Enables("--base base", "merge moved -o m"),
        "--qlora-base": Refused("--qlora-base original", "is for QLoRA adapters"),
        "--verify": Refused("--verify nothing.tif", "nothing.tif"),
    }),
    Way("merge", "QLoRA", "merge qlora -o m", {
        "--base": Refused("--base other", "base"),
        "--qlora-base": Changes("--qlora-base original"),
        "--verify": Refused("--verify nothing.tif", "nothing.tif"),
    }),
    Way("sum", "LoRA", "sum lora lora2 -o s --weights 1 1", {
        "--weights": Changes("--weights 1 2", "sum lora lora2 -o s", other="--weights 1 1"),
        "--base": Enables("--base base", "sum moved lora -o s --weights 1 1"),
    }),
    Way("adapter write", "peft", "adapter write lora --to peft -o x", {
        "--to": Refused("--to x", "--to", "adapter write lora -o x"),
        "--base": Enables("--base base", "adapter write moved --to peft -o x"),
    }),
    Way("adapter read", "peft", "adapter read peft --base base -o a", {
        "--base": Refused("--base other", "other/config.json", "adapter read peft -o a"),
        **refused(["--method lora", "--alpha 1", "--image-size 64", "--key x"], "--"),
    }),
    Way("evaluate", "without corrections", "evaluate --images cells.tif --labels truth.tif "
        "--tasks ais,box -o r.json --model package", {
        **model("evaluate --images dim.tif --labels truth.tif --tasks ais -o r.json"),
        "--images": Changes("--images dim.tif", "evaluate --labels truth.tif --tasks ais "
                            "-o r.json --model package", other="--images cells.tif"),
        "--labels": Changes("--labels one.tif", "evaluate --images cells.tif --tasks ais "
                            "-o r.json --model package", other="--labels truth.tif"),
        "--split-components": Changes("--split-components", "evaluate --images cells.tif "
                                      "--labels binary.tif --tasks ais -o r.json "
                                      "--model package"),
        "--ignore": Changes("--ignore 2"),
        **refused(["--level 1", "--series 1", "--channel 1", "--plane 1"], "--"),
        "--tasks": Changes("--tasks box", "evaluate --images cells.tif --labels truth.tif "
                           "-o r.json --model package", other="--tasks ais"),
        "--seed": Refused("--seed 1", "seed: is for the tasks ip and ib"),
        "--min-object-size": Refused("--min-object-size 5000", "5000"),
    }, echoes=("command", "settings")),
]  # fmt: skip
