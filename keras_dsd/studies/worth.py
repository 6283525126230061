"""What a difference is worth: training cost added against errors saved.

Plain arithmetic, every line of which can be shown. Knows numbers only.
"""

import dataclasses
import math

from keras_dsd._shared import checks

RANGE = (0.5, 2.0)  # what each assumption is multiplied by, to see how much it matters


@dataclasses.dataclass(frozen=True)
class Worth:
    """What using one method in place of another costs and saves.

    Money is in whatever currency the prices were given in.

    Args:
        hours_added: hours of training more than before, for one training.
        errors_saved: fewer errors per event, a fraction.
        cost_per_hour: of training.
        events_per_month: how often the deployed model decides something.
        cost_per_error: of one wrong decision.
        months: how long the model is used.
        trainings: how often it is trained in that time.
    """

    hours_added: float
    errors_saved: float
    cost_per_hour: float
    events_per_month: float
    cost_per_error: float
    months: float
    trainings: int = 1

    def __post_init__(self):
        for name in ("hours_added", "errors_saved"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
        for name in ("cost_per_hour", "events_per_month", "cost_per_error"):
            checks.not_negative(getattr(self, name), name)
        checks.positive(self.months, "months")
        checks.integer(self.trainings, "trainings", at_least=1)

    @property
    def cost(self):
        """What the training costs more, in all."""
        return self.hours_added * self.cost_per_hour * self.trainings

    @property
    def saved_per_month(self):
        """What fewer errors save in a month."""
        return self.errors_saved * self.events_per_month * self.cost_per_error

    @property
    def gain(self):
        """What is left over in all months; negative for a loss."""
        return self.saved_per_month * self.months - self.cost

    @property
    def break_even_months(self):
        """After how many months what is saved has paid for what it cost.

        0 if it costs nothing more, `None` if it never does.
        """
        if self.cost <= 0:
            return 0.0 if self.gain >= 0 else None
        return self.cost / self.saved_per_month if self.saved_per_month > 0 else None

    def sensitivity(self):
        """Returns {assumption: (gain at half of it, gain at twice it)}."""
        names = ("cost_per_hour", "events_per_month", "cost_per_error", "months")
        return {
            name: tuple(
                dataclasses.replace(self, **{name: getattr(self, name) * factor}).gain
                for factor in RANGE
            )
            for name in names
        }

    def lines(self):
        """Returns the arithmetic, a list of lines that anyone can check.

        >>> from keras_dsd.studies.worth import Worth
        >>> worth = Worth(2.0, 0.01, 3.0, 1000, 0.5, 12)
        >>> print(worth.lines()[1])
        errors saved: 0.01 x 1,000 events x 0.5 = 5 a month
        """
        paid = self.break_even_months
        if paid is None:
            even = "break-even: never"
        elif paid == 0:
            even = "break-even: at once, for the training costs nothing more"
        else:
            even = f"break-even: {_n(self.cost)} / {_n(self.saved_per_month)} = "
            even += f"{_n(paid)} months"
        return [
            f"training: {_n(self.hours_added)} hours more x {_n(self.cost_per_hour)} x "
            f"{self.trainings} = {_n(self.cost)}",
            f"errors saved: {_n(self.errors_saved)} x {_n(self.events_per_month)} "
            f"events x {_n(self.cost_per_error)} = {_n(self.saved_per_month)} a month",
            f"in {_n(self.months)} months: {_n(self.saved_per_month)} x "
            f"{_n(self.months)} - {_n(self.cost)} = {_n(self.gain)}",
            even,
        ]


def _n(value):
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
