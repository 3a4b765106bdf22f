"""``samzoo card``: scores of a report enter the card, and the package stays whole."""

from samzoo.runtime.formats.manifest import Manifest


def test_a_report_enters_the_card_of_its_package(run, image, toy_package, tmp_path):
    labels, report = tmp_path / "truth.tif", tmp_path / "r.json"
    run("segment", image, "-o", labels)
    run("evaluate", "--images", image, "--labels", labels, "--tasks", "ais", "-o", report)
    words = ("card", toy_package, "--report", report, "--data", "four discs")
    status, _, errors = run(*words, model=False)
    assert status == 0, errors
    assert "on four discs, all images (4 objects)" in (toy_package / "README.md").read_text()
    assert Manifest.read(toy_package).metrics["evaluations"][0]["scores"]["ais"]["ap"] == 1.0


def test_a_report_without_a_name_for_its_data_is_refused(run, toy_package, tmp_path):
    status, _, errors = run("card", toy_package, "--report", tmp_path / "r.json", model=False)
    assert (status, "--report and --data belong together" in errors) == (2, True)
