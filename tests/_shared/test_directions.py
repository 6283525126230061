"""Names of metrics: counters, and whether more is better."""

import pytest

from keras_dsd._shared import directions


@pytest.mark.parametrize(
    ("name", "plain", "grows"),
    [
        ("auc", "auc", True),
        ("auc_1", "auc", True),
        ("val_mean_io_u_12", "val_mean_io_u", True),
        ("val_head_accuracy", "val_head_accuracy", True),
        ("top5_acc", "top5_acc", True),
        ("Dice", "Dice", True),
        ("sensitivity_at_specificity_3", "sensitivity_at_specificity", True),
        ("loss", "loss", False),
        ("dice_loss", "dice_loss", False),
        ("root_mean_squared_error_2", "root_mean_squared_error", False),
        ("false_positives", "false_positives", False),
    ],
)
def test_names_that_tell(name, plain, grows):
    assert directions.plain(name) == plain
    assert directions.grows(name) == grows
    assert [directions.grows(name, mode) for mode in ("max", "min")] == [True, False]
    assert directions.grows(name, known=not grows) != grows


@pytest.mark.parametrize("name", ["top_5", "top_1", "lr", "", "accuracys", "glossy"])
def test_names_that_do_not(name):
    assert directions.plain(name) == name
    with pytest.raises(ValueError, match=r"`mode='max'` .*Received: mode='auto'"):
        directions.grows(name)
    assert directions.grows(name, "max")
    assert directions.grows(name, known=True)


def test_a_mode_that_there_is_not():
    with pytest.raises(ValueError, match="Received: mode='up'"):
        directions.grows("loss", "up")
