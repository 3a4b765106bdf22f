"""The ways through the verbs about models, and about samzoo itself."""

from .folder import EXPORTING
from .ways import Changes, Refused, Way

REPORT = "evaluate --images cells.tif --labels truth.tif --tasks ais -o r.json --model package"

MODEL_WAYS = [
    Way("show", "a package", "show package"),
    Way("card", "a package", "card package", {
        "--template": Changes("--template"),
        "--from": Changes("--from card.toml"),
        "--metrics": Changes("--metrics r.json --data cells", before=REPORT),
        "--data": Refused("--data cells", "found 1 and 0 of --metrics"),
        "--cover": Changes("--cover cells.tif"),
    }),
    Way("card", "a file to fill in", "card package --template", {
        "--template": Changes("--template", "card package"),
        **{f"--{name}": Refused(f"--{name} {value}", "omit one of them") for name, value in (
            ("from", "card.toml"), ("metrics", "r.json"), ("data", "cells"), ("cover", "cells.tif"),
        )},
    }),
    Way("list", "all", "list", {"--others": Changes("--others")}),
    Way("verify", "a package", "verify small", needs=EXPORTING),
    Way("pull", "the shipped model", "pull nuclei-vit-t", fails="needs no pull"),
    Way("remove", "the shipped model", "remove nuclei-vit-t", fails="ships with samzoo"),
    Way("use", "the shipped model", "use nuclei-vit-t"),
    Way("use", "print it", "use"),
    Way("doctor", "this machine", "doctor"),
    Way("gallery", "a package", "gallery package -o site"),
    Way("index", "a package", "index package -o i.json", {
        "--url": Changes("--url https://lab.example/zoo"),
    }),
]  # fmt: skip
