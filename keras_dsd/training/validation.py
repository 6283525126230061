"""What the running `fit` validates on, and the metrics of the model on it.

Knows Keras's models; knows no mask. Only for phases that ask: `sparsity="auto"`.
"""

import contextlib

from keras_dsd._shared import keras_private
from keras_dsd.sparsity import trials


class Validation:
    """Evaluates a model on the validation data of its `fit`.

    Args:
        model: the model.
        phases: list of the phases that will ask, to be checked beforehand.

    Raises:
        TypeError, ValueError: `fit` has no validation data, or such as can't be read
            twice, or not the metric that a phase asks for.
    """

    def __init__(self, model, phases):
        self._model = model
        self._arguments = keras_private.validation_of_fit(model)
        if self._arguments is None:
            raise ValueError(
                '`sparsity="auto"` is found on validation data: give `fit` '
                "`validation_data` or `validation_split`. Received: "
                "validation_data=None"
            )
        data = self._arguments["x"]
        if hasattr(data, "__next__"):
            raise TypeError(
                '`sparsity="auto"` evaluates validation data several times: give '
                "arrays or a data set. Received: validation_data of type "
                f"{type(data).__name__}"
            )
        logs = self.metrics(steps=1)  # of one batch, to see which there are
        for phase in phases:
            self._choose(logs, phase)

    def metrics(self, **changes):
        """Returns {name: value} of the model as it is now."""
        found = self._model.evaluate(
            **{**self._arguments, **changes}, verbose=0, return_dict=True
        )
        self._model.reset_metrics()  # the epoch's own begin with nothing
        return found

    def baseline(self, phase):
        """Returns (name of the metric, whether it grows, its value now)."""
        logs = self.metrics()
        name, grows = self._choose(logs, phase)
        return name, grows, trials.check_baseline(logs[name], name)

    @contextlib.contextmanager
    def held(self):
        """A context in which weights may change; yields the `Held` of the model."""
        model = self._model
        with trials.Held(model.variables + model.metrics_variables) as held:
            try:
                yield held
            finally:
                keras_private.forget_state(model)

    @staticmethod
    def _choose(logs, phase):
        name = phase.monitor and phase.monitor.removeprefix("val_")
        return trials.choose_metric(logs, name, phase.mode)
