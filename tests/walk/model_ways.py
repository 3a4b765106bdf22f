"""The ways through the verbs about models, and about samzoo itself."""

from .folder import EXPORTING
from .ways import Changes, Refused, Way

MODEL_WAYS = [
    Way("show", "a package", "show package"),
    Way("card", "a package", "card package", {
        "--report": Changes("--report r.json --data cells", before="evaluate --images cells.tif "
                            "--labels truth.tif --tasks ais -o r.json --model package"),
        "--data": Refused("--data cells", "belong together"),
    }),
    Way("list", "all", "list"),
    Way("verify", "a package", "verify small", needs=EXPORTING),
    Way("pull", "the shipped model", "pull nuclei-vit-t", fails="needs no pull"),
    Way("remove", "the shipped model", "remove nuclei-vit-t", fails="ships with samzoo"),
    Way("doctor", "this machine", "doctor"),
    Way("gallery", "a package", "gallery package -o site"),
    Way("index", "a package", "index package -o i.json"),
]  # fmt: skip
