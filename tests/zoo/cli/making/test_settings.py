"""Settings of the command line stand above the config's, and those that are not given do not."""

from types import SimpleNamespace

import pytest

from samzoo.runtime.errors import FormatError
from samzoo.training.config import TrainConfig
from samzoo.zoo.cli.making.settings import chosen_config


def test_what_is_not_given_stays_the_configs():
    options = SimpleNamespace(config="laptop", ais_decoder=None)
    assert chosen_config(options, seed=None, epochs=None) == TrainConfig.read("laptop")


def test_what_is_given_stands_above_the_config_and_is_checked():
    options = SimpleNamespace(config="paper", ais_decoder="none")
    config = chosen_config(options, seed=3, n_objects=None)
    assert (config.seed, config.ais_decoder) == (3, None)
    assert "ais" not in config.validation_tasks
    with pytest.raises(FormatError, match="n_objects"):
        chosen_config(options, n_objects=0)
