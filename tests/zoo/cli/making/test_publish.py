"""``samzoo publish``: options that belong to the other hub are refused."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huggingface:lab/cells", "--force"), "--force replaces a zip"),
        (("bioimageio:m.zip", "--version", "1.0.0"), "--version is for Hugging Face"),
    ],
)
def test_options_of_the_other_hub_are_refused(run_here, arguments, message):
    status, out, errors = run_here("publish", "package", "--to", *arguments)
    assert (status, out) == (2, "")
    assert message in errors
