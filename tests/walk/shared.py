"""What the tables of several verbs share: refusals, the options of the model and of reading."""

import importlib.util

from .ways import Changes, Chooses, Does, Refused

LOOK: dict[str, Does] = {
    "--threads": Changes("--threads 1"),
    "--provider": Refused("--provider gpu", "'gpu'"),
}
SCHEDULER = "--scheduler" if importlib.util.find_spec("distributed") else "'distributed'"
"""What a wrong address is told with: by Dask, or as the package that is missing."""

CONTROLS: Does = (
    Changes("--controls")
    if importlib.util.find_spec("skimage")
    else Refused("--controls", "'skimage'")
)

CHOICES = {
    "--level": ("levels", "--level 1", "--level 0"),
    "--series": ("series", "--series 1", "--series 0"),
    "--channel": ("channels", "--channel 1", "--channel 0"),
    "--plane": ("planes", "--plane 1", "--plane 0"),
}
"""By option: which of the files of two pictures it is for, the words that choose the second one,
and those that choose the first."""


THRESHOLDS = {
    "--foreground-threshold": Changes("--foreground-threshold 0.9"),
    "--center-threshold": Changes("--center-threshold 0.1"),
    "--boundary-threshold": Changes("--boundary-threshold 0.1"),
    "--min-size": Changes("--min-size 100"),
}


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


def reading(command, image="cells"):
    """What the options of reading do: they choose ``image`` in a file of two pictures."""
    return {
        option: Chooses(right, command, command.replace(f"{image}.tif", f"{image}_{kind}.ome.tif"),
                        other=wrong)
        for option, (kind, right, wrong) in CHOICES.items()
    }  # fmt: skip
