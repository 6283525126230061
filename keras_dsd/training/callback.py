"""`DSDCallback`: drives a training run from `model.fit`.

Knows Keras's training loop. It decides nothing: it tells `run` how far training has
come, and gives the model the step that fits the masks in force.
"""

import copy
import math
import warnings
from typing import Any

import keras

from keras_dsd import backend
from keras_dsd._shared import checks, keras_private
from keras_dsd.optimizers import model_optimizers
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.training.audit import AuditLog
from keras_dsd.training.clock import Clock
from keras_dsd.training.mask_statistics import MaskStatistics
from keras_dsd.training.preparation import prepare
from keras_dsd.training.recorder import Recorder
from keras_dsd.training.run import Run
from keras_dsd.training.timeline import Timeline
from keras_dsd.training.validation import Validation


class DSDCallback(keras.callbacks.Callback):
    """Trains a prunable model in phases, in plain `fit`.

    Which phase an epoch belongs to follows from the epoch's number and from what is
    stored with the weights, so `initial_epoch`, a second `fit` and a run that was
    killed and restored go on rightly (see `keras_dsd.Backup`). List it before
    Keras's callbacks that save (`ModelCheckpoint`), so that they save what it stores.

    Every epoch's logs get `sparsity` (fraction of the prunable weights that are zero,
    held there by masks: 0 in a dense phase) and `dsd_phase` (index of the phase, from
    0), both floats. If a phase has `regrowth`, also `churn` (fraction of the living
    connections that did not live when the epoch before ended) and `explored` (fraction
    of all that have lived at any time of the phase).

    Args:
        phases: list of phases (see `keras_dsd.phases`).
        seed: integer from which random choices are drawn, together with each weight's
            path. Defaults to 0.
        audit: a file's path, str or `os.PathLike`. The file gets a line of JSON for
            every update of the masks; `keras-dsd audit` shows it (see
            `keras_dsd.audit`). Defaults to `None`.
        optimizers: list of the Keras optimizers that train the model's weights, where
            it does not hold them itself or holds others too: their learning rates are
            scaled, their momenta of pruned weights set back. Defaults to `None`: the
            compiled one and all that the model, or a model within it, has as attributes
            or in lists and dictionaries that are attributes.
        verbose: 0 for silence, 1 for a line as each phase begins, and one with the
            optimizers if there are several. Defaults to 1.

    Raises:
        TypeError, ValueError: the phases are malformed, `optimizers` is no list of
            Keras optimizers; from `fit`, before training:
            the model holds no `Prunable`, a pattern does not fit a weight, a learning
            rate can't be scaled, a method of `regrowth` lacks gradients or momentum,
            `sparsity="auto"` has no validation data.
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

    def __init__(self, phases, *, seed=0, audit=None, optimizers=None, verbose=1):
        super().__init__()
        self.timeline = Timeline(phases)
        self.seed = checks.integer(seed, "seed", at_least=0)
        self.audit = None if audit is None else AuditLog(audit)
        if optimizers is not None:
            model_optimizers.check(optimizers)
        self.optimizers = None if optimizers is None else list(optimizers)
        self.verbose = checks.integer(verbose, "verbose", at_least=0)
        self._forget_run()

    def _forget_run(self):
        self._prepared: Any = None
        self._clock: Any = None
        self._run: Any = None
        self._functions: dict = {}
        self._traced: Any = None
        self._has_put_off = False

    def __getstate__(self):
        """What a copy gets: it is as new, of the same arguments (KerasTuner copies)."""
        new = type(self).__new__(type(self))
        new.__dict__.update(vars(self))
        keras.callbacks.Callback.__init__(new)  # without a model
        new._forget_run()
        return vars(new)

    def __deepcopy__(self, memo):
        """Optimizers stay the ones that train the model: their copies would not."""
        memo.update({id(one): one for one in self.optimizers or ()})
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return new

    def set_model(self, model):
        """Checks what the phases will need, before anything changes.

        Here, for it comes before any callback restores weights: those may hold values
        that a later phase goes back to, and need variables to restore them into.
        """
        super().set_model(model)
        self._prepared = prepare(model, self.timeline, self.optimizers)

    def on_train_begin(self, logs=None):
        """Starts a run."""
        prepared = self._prepared
        if self.timeline.searches:
            prepared.validation = Validation(self.model, self.timeline.searches)
        accumulation = optimizer_slots.accumulation([*prepared.optimizers.values()])
        self._clock = Clock(self.params["steps"], accumulation)
        recorder = Recorder(
            MaskStatistics(prepared.weights),
            self.timeline.moves,
            self.audit,
            announce=print if self.verbose else lambda line: None,
        )
        self._run = Run(self.timeline, prepared, self._clock, recorder, self.seed)
        self._functions, self._traced, self._has_put_off = {}, None, False
        if len(prepared.optimizers) > 1:
            recorder.announce(
                f"DSD optimizers: {model_optimizers.described(prepared.optimizers)}"
            )
        self._warn_of_length()
        self._warn_of_no_update()

    def on_epoch_begin(self, epoch, logs=None):
        """Switches phases, and updates the masks that are due with the epoch."""
        self._run.begin_epoch(epoch)
        self._choose_train_function()

    def on_train_batch_begin(self, batch, logs=None):
        """Scales learning rates, after all callbacks have set those of the epoch."""
        if self._run.rates_are_due:
            _ = self.model  # on JAX that brings its variables up to date
            self._run.begin_batch()

    def on_train_batch_end(self, batch, logs=None):
        """Updates the masks that are due with the optimizer step."""
        if self._run.end_batch(batch) and not self._is_put_off(logs):
            # Only now: on JAX asking for the model brings its variables up to date,
            # which takes longer than a small step.
            model = self.model
            if getattr(model, "stop_training", False):  # there once it is compiled
                return
            self._run.update_masks()
            keras_private.keep_written(model)
            self._choose_train_function()

    def _is_put_off(self, logs):
        """Whether what is due waits for the next batch, once: the loss has diverged.

        A callback that ends training then, `TerminateOnNaN`, may come after this one.
        """
        loss = (logs or {}).get("loss", 0.0)
        self._has_put_off = not self._has_put_off and not math.isfinite(float(loss))
        return self._has_put_off

    def on_epoch_end(self, epoch, logs=None):
        """Adds to the logs; ends training if its last phase ends early."""
        if self._run.end_epoch(epoch, {} if logs is None else logs):
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Leaves the optimizer with its own learning rate or schedule."""
        if self._run.finish():
            self.model.train_function = None

    @property
    def searches(self):
        """How `sparsity="auto"` found what it did in this run.

        `{index of the phase: search}`, with `metric`, `baseline`, `tolerance`,
        `sparsity`, `by_weight` and `trials`, a list of `(path or None, sparsity,
        value)`. Empty for a phase that was restored: its search is in the audit log.
        """
        return dict(self._run.searches) if self._run else {}

    @property
    def trace_key(self):
        """What a compiled training step depends on, hashable; `None` before training.

        For training loops without `fit`: where it differs from that of the step before,
        the step must be traced anew. Given as a static argument to `tf.function` or
        `jax.jit`, it sees to that by itself.
        """
        return self._run.trace_key if self._run else None

    def _choose_train_function(self):
        # One trace for each set of masked layers, however many phases there are.
        key = self._run.trace_key
        if key == self._traced:
            return
        if key not in self._functions:
            self._functions[key] = backend.new_train_function(self.model)
        self.model.train_function = self._functions[key]
        self._traced = key

    def _warn_of_no_update(self):
        for phase in self.timeline.phases:
            if phase.regrowth is None or not self.params["steps"]:
                continue
            every, length = phase.update_every, self._clock.length(phase)
            is_static = (
                not isinstance(phase.regrowth, dict) and not phase.regrowth.moves
            )
            if not is_static and (every or 1) >= length:
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
