"""`DSDCallback`: drives a training run from `model.fit`.

The only room that knows Keras's training loop. It decides nothing: it tells `run` how
far training has come, and gives the model the step that fits the masks in force.
"""

import warnings
from typing import Any

import keras

from keras_dsd import backend
from keras_dsd._shared import checks, keras_private
from keras_dsd.layers import conversion
from keras_dsd.optimizers.learning_rates import Rates
from keras_dsd.regrowth import Static
from keras_dsd.training import drop_and_grow
from keras_dsd.training.audit import AuditLog
from keras_dsd.training.phases import Sparse
from keras_dsd.training.recorder import Watch
from keras_dsd.training.run import Run
from keras_dsd.training.timeline import Timeline
from keras_dsd.training.zero_counts import Targets


class DSDCallback(keras.callbacks.Callback):
    """Trains a prunable model in phases, in plain `fit`.

    Which phase an epoch belongs to follows from the epoch's number and from what is
    stored with the weights, so `initial_epoch`, a second `fit` and a run that was
    killed and restored go on rightly. List it before callbacks that save
    (`ModelCheckpoint`, `BackupAndRestore`), so that they save what it stores.

    Every epoch's logs get `sparsity` (fraction of the prunable weights that are zero)
    and `dsd_phase` (number of the phase, from 0), both floats. If a phase has
    `regrowth`, also `churn` (fraction of the living connections that did not live when
    the epoch before ended) and `explored` (fraction of all that have lived at any time
    of the phase).

    Args:
        phases: list of phases (see `keras_dsd.phases`).
        seed: integer from which random choices are drawn, together with each weight's
            path. Defaults to 0.
        audit: path of a file that gets a line of JSON for every update of the masks;
            `keras-dsd audit` shows it (see `keras_dsd.audit`). Defaults to `None`.
        verbose: 0 for silence, 1 for a line as each phase begins. Defaults to 1.

    Raises:
        TypeError, ValueError: the phases are malformed; from `fit`, before training:
            the model holds no `Prunable`, a pattern does not fit a weight, a learning
            rate can't be scaled, a method of `regrowth` lacks gradients or momentum.
            During training: a weight is not finite when masks are due.

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

    def __init__(self, phases, *, seed=0, audit=None, verbose=1):
        super().__init__()
        self.timeline = Timeline(phases)
        self.seed = checks.integer(seed, "seed", at_least=0)
        self.audit = None if audit is None else AuditLog(audit)
        self.verbose = checks.integer(verbose, "verbose", at_least=0)
        self._run: Any = None

    def set_model(self, model):
        """Checks what the phases will need, before anything changes.

        Here, for it comes before any callback restores weights: the last thing done
        is to make room for values that a later phase goes back to.
        """
        super().set_model(model)
        self._states = conversion.states(model)
        if not self._states:
            raise ValueError(
                "The model holds no `Prunable` layer: call "
                "`model = keras_dsd.make_prunable(model)` before `compile`. "
                f"Received: model={model!r}"
            )
        unbuilt = [state for state in self._states if not state.built]
        if unbuilt:
            raise ValueError(
                "Build the model before `fit`, say by calling it on a batch: masks "
                f"need weights. Received: {len(unbuilt)} layers that are not built"
            )
        if model.optimizer is None:
            raise ValueError("The model needs an optimizer. Received: optimizer=None")
        weights = [weight for state in self._states for weight in state.pruned]
        self._targets = {
            index: Targets(phase, weights)
            for index, phase in enumerate(self.timeline.phases)
            if isinstance(phase, Sparse)
        }
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._rates = Rates(model.optimizer)
        if any(phase.lr_factor is not None for phase in self.timeline.phases):
            self._rates.check()
        for targets in self._targets.values():
            drop_and_grow.check(targets, weights, model.optimizer)
        restores = [getattr(phase, "restore", None) for phase in self.timeline.phases]
        if "rewind" in restores:
            for state in self._states:
                state.keep_pruned_values()
        if self._moves:
            for state in self._states:
                state.keep_explored()

    def on_train_begin(self, logs=None):
        """Starts a run."""
        self._run = Run(
            self.timeline,
            self._targets,
            self._states,
            self.model.optimizer,
            self._rates,
            steps=self.params["steps"],
            seed=self.seed,
            announce=print if self.verbose else lambda line: None,
            watch=Watch(self._moves, self.audit),
        )
        self._functions = {}
        self._traced = None
        self._warn_of_length()
        self._warn_of_no_update()

    def on_epoch_begin(self, epoch, logs=None):
        """Switches phases, and updates the masks that are due with the epoch."""
        self._run.begin_epoch(epoch)
        self._choose_train_function()

    def on_train_batch_end(self, batch, logs=None):
        """Updates the masks that are due with the optimizer step."""
        if self._run.end_batch(batch):
            # Only now: on JAX asking for the model brings its variables up to date,
            # which takes longer than a small step.
            model = self.model
            self._run.update_masks()
            keras_private.keep_written(model)
            self._choose_train_function()

    def on_epoch_end(self, epoch, logs=None):
        """Adds to the logs; ends training if its last phase ends early."""
        if self._run.end_epoch(epoch, {} if logs is None else logs):
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Leaves the optimizer with its own learning rate schedule."""
        if self._run.finish():
            self.model.train_function = None

    @property
    def trace_key(self):
        """What a compiled training step depends on, hashable; `None` before training.

        For training loops without `fit`: where it differs from that of the step before,
        the step must be traced anew. Given as a static argument to `tf.function` or
        `jax.jit`, it sees to that by itself.
        """
        return self._run.trace_key if self._run else None

    @property
    def _moves(self):
        phases = self.timeline.phases
        return any(getattr(phase, "regrowth", None) for phase in phases)

    def _choose_train_function(self):
        # One trace for each set of masked layers, whatever the number of phases.
        key = self._run.trace_key
        if key == self._traced:
            return
        if key not in self._functions:
            self._functions[key] = backend.new_train_function(self.model)
        self.model.train_function = self._functions[key]
        self._traced = key

    def _warn_of_no_update(self):
        for phase in self.timeline.phases:
            every = getattr(phase, "update_every", None)
            if getattr(phase, "regrowth", None) is None or not self.params["steps"]:
                continue
            length = self._run.length(phase)
            if not isinstance(phase.regrowth, Static) and (every or 1) >= length:
                unit = "steps" if every else "epoch"
                warnings.warn(
                    "No connection will ever move: an update is due every "
                    f"{every or 1} {unit}, and the phase is {length} {unit} long.",
                    stacklevel=2,
                )

    def _warn_of_length(self):
        epochs, phases = self.params["epochs"], self.timeline.epochs
        if epochs == phases or self.timeline.can_end_early:
            return
        what = (
            f"the last {phases - epochs} epochs of the phases will not be trained"
            if epochs < phases
            else f"the last phase will go on for {epochs - phases} epochs more"
        )
        warnings.warn(
            f"`fit` ends with epoch {epochs}, the phases with epoch {phases}: {what}.",
            stacklevel=2,
        )
