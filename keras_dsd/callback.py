"""`DSDCallback`: plays phases while `model.fit` runs.

The only room that knows Keras's training loop. It decides nothing about masks: it asks
the timeline what is due and tells `updates` to do it.
"""

import math
import warnings

import keras
import numpy as np

from keras_dsd import _checks, backend, optimizer_slots, wrapping
from keras_dsd.learning_rates import Rates
from keras_dsd.phases import Sparse
from keras_dsd.position import Position
from keras_dsd.targets import Targets
from keras_dsd.timeline import Timeline, goes_on
from keras_dsd.updates import Updates


class DSDCallback(keras.callbacks.Callback):
    """Trains a prunable model in phases, in plain `fit`.

    Which phase an epoch belongs to follows from the epoch's number and from what is
    stored with the weights, so `initial_epoch`, a second `fit` and a run that was
    killed and restored go on rightly. List it before callbacks that save
    (`ModelCheckpoint`, `BackupAndRestore`), so that they save what it stores.

    Every epoch's logs get `sparsity` (fraction of the prunable weights that are zero)
    and `dsd_phase` (number of the phase, from 0), both floats.

    Args:
        phases: list of phases (see `keras_dsd.phases`).
        seed: integer from which random choices are drawn, together with each weight's
            path. Defaults to 0.
        verbose: 0 for silence, 1 for a line as each phase begins. Defaults to 1.

    Raises:
        TypeError, ValueError: the phases are malformed; from `fit`, before training:
            the model holds no `Prunable`, a pattern does not fit a weight, a learning
            rate can't be scaled. During training: a weight is not finite when masks
            are due.

    Example:

    >>> import keras, numpy as np, keras_dsd
    >>> from keras_dsd import phases
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = keras_dsd.make_prunable(model)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((16, 8)), np.ones((16, 4))
    >>> dsd = keras_dsd.DSDCallback(phases.dsd(epochs=3, sparsity=0.5), verbose=0)
    >>> history = model.fit(x, y, epochs=3, callbacks=[dsd], verbose=0)
    >>> history.history["sparsity"]
    [0.0, 0.5, 0.0]
    """

    def __init__(self, phases, *, seed=0, verbose=1):
        super().__init__()
        self.timeline = Timeline(phases)
        self.seed = _checks.integer(seed, "seed", at_least=0)
        self.verbose = _checks.integer(verbose, "verbose", at_least=0)

    def set_model(self, model):
        """Checks the model and makes room for values to go back to.

        Here, for it comes before any callback restores weights.
        """
        super().set_model(model)
        self._states = wrapping.states(model)
        if not self._states:
            raise ValueError(
                "The model holds no `Prunable` layer: call "
                "`model = keras_dsd.make_prunable(model)` before `compile`. "
                f"Received: model={model!r}"
            )
        self._rates = Rates(model.optimizer)
        if any(phase.lr_factor is not None for phase in self.timeline.phases):
            self._rates.check()
        restores = [getattr(phase, "restore", None) for phase in self.timeline.phases]
        if "rewind" in restores:
            for state in self._states:
                state.keep_pruned_values()

    def on_train_begin(self, logs=None):
        """Checks what the phases will need, before anything is trained."""
        unbuilt = [state for state in self._states if not state.built]
        if unbuilt:
            raise ValueError(
                "Build the model before `fit`, say by calling it on a batch: masks "
                f"need weights. Received: {len(unbuilt)} layers that are not built"
            )
        self._targets = {
            index: Targets(phase, self._weights())
            for index, phase in enumerate(self.timeline.phases)
            if isinstance(phase, Sparse)
        }
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self._updates = Updates(self._weights(), optimizer)
        self._accumulation = optimizer_slots.accumulation(optimizer)
        self._functions = {}
        self._traced = None
        self._position = None
        self._phase = None
        self._batches = 0
        self._warn_of_length()

    def on_epoch_begin(self, epoch, logs=None):
        """Switches phases, and updates the masks that are due with the epoch."""
        # Not before now: another callback may have restored weights, and with them
        # the position, after `on_train_begin`.
        if self._position is None:
            self._position = self._find_position(epoch)
        position = self._position
        index, start = self.timeline.locate(epoch, position)
        entered = (index, start) != (position.phase, position.start)
        if entered:
            position.phase, position.start, position.time = index, start, -1
            position.wait, position.over, position.best = 0, 0, math.nan
        position.epoch = epoch
        self._set_phase(index, entered)
        if self._schedule:
            self._update(self._time_at(epoch, batches=0))
        for state in self._states:
            state.position = position
        self._choose_train_function()

    def on_train_batch_end(self, batch, logs=None):
        """Updates the masks that are due with the optimizer step."""
        self._batches = batch + 1
        if self._schedule and self._phase.update_every:
            self._update(self._time_at(self._position.epoch, self._batches))

    def on_epoch_end(self, epoch, logs=None):
        """Adds to the logs, and ends the phase if its metric is on a plateau."""
        position = self._position
        position.steps = self._batches
        phase = self._phase
        if phase.until and self._schedule_is_over(epoch):
            self._watch(phase.until, logs or {})
        last = position.phase == len(self.timeline.phases) - 1
        over = position.over or epoch + 1 >= position.start + phase.epochs
        if last and over and self.timeline.can_end_early:
            self.model.stop_training = True
        if logs is not None:
            in_force = any(state.in_force for state in self._states)
            logs["sparsity"] = self._sparsity if in_force else 0.0
            logs["dsd_phase"] = float(position.phase)
        for state in self._states:
            state.position = position

    def on_train_end(self, logs=None):
        """Leaves the optimizer with its own learning rate schedule."""
        self._position.finished = 1
        for state in self._states:
            state.position = self._position
        if self._rates.traced_factors():
            self._rates.unwrap()
            self.model.train_function = None  # holds the last factor as a constant

    def _weights(self):
        return [weight for state in self._states for weight in state.pruned]

    def _warn_of_length(self):
        epochs, phases = self.params["epochs"], self.timeline.epochs
        if epochs == phases or self.timeline.can_end_early:
            return
        what = (
            f"{phases - epochs} epochs of the last phases will not be trained"
            if epochs < phases
            else f"the last phase will go on for {epochs - phases} epochs more"
        )
        warnings.warn(
            f"`fit` ends with epoch {epochs}, the phases with epoch {phases}: {what}.",
            stacklevel=2,
        )

    def _find_position(self, epoch):
        position = self._states[0].position
        if goes_on(position, epoch):
            position.finished = 0
            return position
        return Position(rates=self._rates.read())

    def _set_phase(self, index, entered):
        phase = self.timeline.phases[index]
        if not entered and phase is self._phase:
            return
        self._phase = phase
        self._schedule = None
        if isinstance(phase, Sparse):
            self._schedule = phase.schedule_over(
                self.timeline.sparsity_before(index), self._steps_for(phase)
            )
            if not entered:  # restored: the masks are there, their trap is not
                self._enforce(self._targets[index])
                self._sparsity = self._updates.sparsity()
        elif entered:
            self._take_off_masks(getattr(phase, "restore", "zero"), index)
        if entered and phase.lr_factor is not None:
            self._rates.apply(phase.lr_factor, self._position.rates)
        else:
            self._rates.rewrap(self.timeline.last_factor(index))
        if entered and self.verbose:
            print(self._announcement(index))

    def _announcement(self, index):
        phase = self.timeline.phases[index]
        sparse = isinstance(phase, Sparse)
        return (
            f"DSD phase {index + 1}/{len(self.timeline.phases)}: "
            f"{type(phase).__name__} for {'up to ' if phase.until else ''}"
            f"{phase.epochs} epochs"
            + (f", sparsity {phase.sparsity:g}" if sparse else "")
            + (f", learning rate x {phase.lr_factor:g}" if phase.lr_factor else "")
        )

    def _steps_for(self, phase):
        steps = (self.params["steps"] or self._position.steps) // self._accumulation
        if phase.update_every and not callable(phase.schedule) and not steps:
            raise ValueError(
                "The length of an epoch is not known, so the schedule has no end. Pass "
                "`steps_per_epoch` to `fit`, or a schedule with an `end`. "
                f"Received: schedule={phase.schedule!r}, "
                f"update_every={phase.update_every!r}"
            )
        return steps

    def _time_at(self, epoch, batches):
        """Returns the time of the last update due, in the unit of the schedule."""
        epochs, every = epoch - self._position.start, self._phase.update_every
        if not every:
            return epochs
        # The params know the steps of an epoch unless the data is a generator.
        steps = self.params["steps"] or self._position.steps
        return (epochs * steps + batches) // self._accumulation // every * every

    def _schedule_is_over(self, epoch):
        if not self._schedule:
            return True
        now = self._schedule(self._time_at(epoch, self._batches))
        return now == self._phase.sparsity

    def _update(self, time):
        """Updates the masks if the sparsity at `time` is another than they have."""
        position, before = self._position, self._position.time
        if time <= before:
            return
        position.time = time
        sparsity = self._schedule(time)
        if before >= 0 and self._schedule(before) == sparsity:
            return
        _ = self.model  # on JAX this brings the variables up to date
        targets = self._targets[position.phase]
        self._updates.prune(targets, sparsity)
        self._sparsity = self._updates.sparsity()
        if before < 0:
            self._enforce(targets)

    def _enforce(self, targets):
        """Puts the masks in force, but not on layers that the phase keeps dense."""
        averages = self._updates.averages
        for state in self._states:
            if any(targets.prunes(weight) for weight in state.pruned):
                state.enforce(averages)
            else:
                state.release()

    def _take_off_masks(self, restore, index):
        if any(state.in_force for state in self._states):
            self._updates.take_off(restore, (self.seed, index))
            for state in self._states:
                state.release()

    def _choose_train_function(self):
        """Gives the model a step that was traced for the masks now in force.

        One trace for each set of masked layers, whatever the number of phases.
        """
        key = (
            tuple(state.in_force for state in self._states),
            self._rates.traced_factors(),
        )
        if key == self._traced:
            return
        if key not in self._functions:
            self._functions[key] = backend.new_train_function(self.model)
        self.model.train_function = self._functions[key]
        self._traced = key

    def _watch(self, plateau, logs):
        """Ends the phase when its metric no longer improves."""
        if plateau.monitor not in logs:
            raise ValueError(
                f"`Plateau` watches a metric that the logs do not hold: {sorted(logs)}."
                f" Received: monitor={plateau.monitor!r}"
            )
        position = self._position
        value = float(np.float32(logs[plateau.monitor]))  # as it will be stored
        if plateau.improves(value, position.best):
            position.best, position.wait = value, 0
        else:
            position.wait += 1
        position.over = int(position.wait >= plateau.patience)
