"""The file of a study: what it says, and what is refused."""

import pytest

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.training.config import TrainConfig
from samzoo.zoo.studies.study import read_study


def test_a_study_says_what_is_compared(study):
    assert study.seeds == (0, 1)
    assert [each.row for each in study.methods] == ["lora", "all-weights"]
    assert study.config(study.methods[1]) == {
        "epochs": 1, "search_ais": False, "learning_rate": 0.001,
    }  # fmt: skip
    assert study.data[0].numbers == (1, 0)
    assert study.data[0].metric == "msa"


def test_a_preset_lies_below_the_studys_own_keys(study_file):
    study_file.write_text('preset = "laptop"\n' + study_file.read_text())
    study = read_study(study_file)
    config = study.config(study.methods[0])
    assert config["epochs"] == 1
    assert config["scheduler"] == TrainConfig.read("laptop").scheduler == "cosine"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0, 1]", "[0, 0]", "seeds: found"),
        ("[0, 1]", "[]", "seeds: found"),
        ("[1, 0]", "[-1]", "data cells: numbers: found"),
        ('"box"]', '"boks"]', "data cells: tasks: found"),
        ("epochs = 1", "seed = 1", "training.seed: a study says it in seeds"),
        ("epochs = 1", "epoch = 1", "methods lora: training: unknown key 'epoch'"),
        ("rank = 2", "rnk = 2", "methods lora: hyperparameters: unknown key 'rnk'"),
        ("rank = 2", "rank = 0", "hyperparameters.rank: allowed is 1 to"),
        ('"all-weights"', '"untrained"', "is the row of a base"),
        ('"all-weights"', '"lora"', "methods.name: two have the name 'lora'"),
        ('"all-weights"', '"All weights"', "methods.name: found 'All weights'"),
        ('title = "Few cells"', "", "title"),
        ("untrained", "untraind", "unknown key 'untraind'"),
    ],
)
def test_a_slip_is_named_with_its_place(study_file, old, new, message):
    text = study_file.read_text()
    assert old in text
    study_file.write_text(text.replace(old, new))
    with pytest.raises(FormatError) as caught:
        read_study(study_file)
    assert message in str(caught.value)
    assert str(study_file) in str(caught.value)


def test_an_unknown_method_and_a_missing_file_are_told(study_file, tmp_path):
    study_file.write_text(study_file.read_text().replace('"full"', '"fll"'))
    with pytest.raises(InputError, match="unknown method 'fll'"):
        read_study(study_file)
    with pytest.raises(NotFoundError, match=r"none\.toml"):
        read_study(tmp_path / "none.toml")
