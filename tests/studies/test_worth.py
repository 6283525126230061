"""What a difference is worth: arithmetic that can be followed by hand."""

import math

import pytest

from keras_dsd.studies.worth import Worth

pytestmark = pytest.mark.one_backend


def worth(**changes):
    plan = {
        "hours_added": 10.0,
        "errors_saved": 0.002,
        "cost_per_hour": 3.0,
        "events_per_month": 50_000,
        "cost_per_error": 0.2,
        "months": 24,
    }
    return Worth(**{**plan, **changes})


def test_by_hand():
    plain = worth()
    assert plain.cost == 30
    assert plain.saved_per_month == pytest.approx(20)
    assert plain.gain == pytest.approx(450)
    assert plain.break_even_months == pytest.approx(1.5)
    assert plain.sensitivity()["months"] == pytest.approx((210, 930))
    assert worth(trainings=12).cost == 360
    assert plain.lines()[-1] == "break-even: 30 / 20 = 1.5 months"


def test_what_never_pays_and_what_costs_nothing():
    assert worth(errors_saved=-0.001).break_even_months is None
    assert worth(errors_saved=0.0).lines()[-1] == "break-even: never"
    assert worth(hours_added=-1.0).break_even_months == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"cost_per_hour": -1},
        {"months": 0},
        {"cost_per_error": math.nan},
        {"errors_saved": math.inf},
        {"trainings": 0},
    ],
)
def test_bad_input(changes):
    with pytest.raises(ValueError, match=f"Received: {next(iter(changes))}="):
        worth(**changes)
