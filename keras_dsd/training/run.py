"""One training run: what is due at an epoch, at a step, at the end, and doing it.

Between the timeline, which says what should hold, and `updates`, `learning_rates` and
the layers' states, which make it hold. `callback` drives it from `fit`. Knows phases,
states and an optimizer; knows no model and no training loop.
"""

import math
from typing import Any

import numpy as np

from keras_dsd.layers.position import Position
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.training import drop_and_grow
from keras_dsd.training.enforcement import Enforcement
from keras_dsd.training.mask_updates import Updates
from keras_dsd.training.phases import Sparse
from keras_dsd.training.timeline import goes_on


class Run:
    """Plays a timeline on the prunable layers of one model.

    Args:
        timeline: the `Timeline`.
        targets: {number of a sparse phase: its `Targets`}.
        states: list of the layers' `PruningState`s, built.
        optimizer: the built optimizer.
        rates: the optimizer's `Rates`.
        steps: batches in an epoch, or `None` if the data does not tell.
        seed: integer for random draws.
        announce: function of a line of text, called as a phase begins.
        watch: the `Watch` that is told of every update.
    """

    _phase: Any  # one of `phases`
    _schedule: Any = None  # sparsity over time, in a sparse phase
    _sparsity = 0.0
    _batches = 0  # in the epoch so far

    def __init__(
        self, timeline, targets, states, optimizer, rates, steps, seed, announce, watch
    ):
        self._timeline = timeline
        self._targets = targets
        self._states = states
        self._rates = rates
        self._steps = steps
        self._seed = seed
        self._announce = announce
        weights = [weight for state in states for weight in state.pruned]
        self._weights = weights
        self._optimizer = optimizer
        self._updates = Updates(weights, optimizer)
        self._enforcement = Enforcement(states, self._updates, optimizer)
        self._regrowings: list = []
        self._watch = watch
        self._accumulation = optimizer_slots.accumulation(optimizer)
        self._position = Position()
        self._has_begun = False

    @property
    def trace_key(self):
        """What a compiled step depends on, besides the model: one trace for each."""
        return self._enforcement.trace_key, self._rates.traced_factors()

    def begin_epoch(self, epoch):
        """Switches phases, and updates the masks that are due with the epoch.

        The stored position is read in the first epoch, not before: what restores
        weights may do so until then.
        """
        entered = False
        if not self._has_begun:
            self._position = self._find_position(epoch)
            self._watch.begin(epoch if self._position.phase >= 0 else None)
        position = self._position
        index, start = self._timeline.locate(epoch, position)
        # A run that was stopped may go on with other phases than it had.
        fingerprint = self._timeline.phases[index].fingerprint
        here = index, start, fingerprint
        if here != (position.phase, position.start, position.fingerprint):
            entered = True
            position.phase, position.start, position.fingerprint = here
            position.time = -1
            position.wait, position.over, position.best = 0, 0, math.nan
        position.epoch = epoch
        self._batches = 0
        self._watch.begin_epoch(self._updates)
        if entered or not self._has_begun:
            self._set_phase(index, entered)
        self._has_begun = True
        if self._schedule:
            self._update(self._time(epoch))
        self._store()

    def _find_position(self, epoch):
        for state in self._states:
            state.follow_position()
        position = self._states[0].position
        if goes_on(position, epoch):
            position.finished = 0
            return position
        return Position(rates=self._rates.read())

    def _set_phase(self, index, entered):
        phase = self._phase = self._timeline.phases[index]
        self._schedule = None
        self._regrowings = []
        if isinstance(phase, Sparse):
            self._regrowings = drop_and_grow.for_phase(
                self._targets[index], self._weights, self._optimizer
            )
            self._schedule = phase.schedule_over(
                self._timeline.sparsity_before(index), self._steps_for(phase)
            )
            if not entered:  # restored
                if not self._updates.zeros_are_kept(with_slots=True):
                    # The weights alone were: the optimizer's slots are later ones.
                    self._updates.lay_again()
                self._enforce()
        elif entered:
            self._take_off_masks(getattr(phase, "restore", "zero"))
        if entered and phase.lr_factor is not None:
            self._rates.apply(phase.lr_factor, self._position.rates)
        else:
            self._rates.rewrap(self._timeline.last_factor(index))
        if entered:
            self._announce(self._timeline.describe(index))

    def _steps_for(self, phase):
        steps = (self._steps or self._position.steps) // self._accumulation
        if phase.update_every and not callable(phase.schedule) and not steps:
            raise ValueError(
                "The length of an epoch is not known, so the schedule has no end. Pass "
                "`steps_per_epoch` to `fit`, or a schedule with an `end`. "
                f"Received: schedule={phase.schedule!r}, "
                f"update_every={phase.update_every!r}"
            )
        return steps

    def _time(self, epoch):
        """Returns the time of the last update due, in the unit of the schedule."""
        epochs, every = epoch - self._position.start, self._phase.update_every
        if not every:
            return epochs
        batches = epochs * (self._steps or self._position.steps) + self._batches
        return batches // self._accumulation // every * every

    def _update(self, time):
        """Updates the masks if `time` is later than when they last were."""
        before = self._position.time
        if time <= before:
            return
        self._position.time = time
        sparsity = self._schedule(time)
        update = self._watch.begin_update(self._updates)
        if before < 0:
            update.fraction = self._lay_first(sparsity)
        elif self._regrowings:
            update.fraction = self._regrow(time, sparsity)
        elif self._schedule(before) != sparsity:
            self._updates.prune(self._targets[self._position.phase], sparsity)
            update.fraction = 0.0
        if update.fraction is not None:
            self._sparsity = self._updates.sparsity()
            self._watch.write(self._updates, update, self._position, self._step())

    def _lay_first(self, sparsity):
        """Lays the phase's first masks; returns the fraction dropped to regrow: 0."""
        index = self._position.phase
        # Nothing has been learned that could choose, and masks that move will.
        by_chance = index == 0 and self._phase.regrowth is not None
        seed = (self._seed, index, "masks") if by_chance else None
        initial = self._phase.initial_sparsity if self._regrowings else sparsity
        self._updates.prune(self._targets[index], initial, seed)
        if sparsity != initial:  # a phase too short for any other update
            self._regrow(self.length(self._phase), sparsity)
        self._watch.begin_phase(self._updates)
        self._enforce()
        return 0.0

    def _regrow(self, time, sparsity):
        """Moves connections; returns the fraction dropped, `None` if none is due."""
        every = self._phase.update_every or 1
        length = self.length(self._phase)
        index = self._position.phase
        weights: list = []
        masks: list = []
        fractions = []
        for moving in self._regrowings:
            decayed = moving.method.decayed(time, length) if time < length else 0.0
            new = moving.choose(
                decayed,
                time + every >= length,
                sparsity,
                self._targets[index],
                (self._seed, index, time),
            )
            if new is not None:
                weights += moving.weights
                masks += new
                fractions.append(moving.method.drop_fraction * decayed)
        if not fractions:
            return None
        self._updates.lay(weights, masks)
        return max(fractions)

    def length(self, phase):
        """Returns how long a phase is, in the unit of its `update_every`."""
        return phase.length(self._steps_for(phase))

    def _step(self):
        """Returns how many optimizer steps have been made since training began."""
        steps = self._steps or self._position.steps
        return (self._position.epoch * steps + self._batches) // self._accumulation

    def _enforce(self):
        """Puts the masks in force."""
        momenta = [m.method for m in self._regrowings if "momentum" in m.method.needs]
        decay = (
            optimizer_slots.momentum_coefficient(self._optimizer) if momenta else 0.0
        )
        self._enforcement.begin(self._targets[self._position.phase], decay)
        self._sparsity = self._updates.sparsity()

    def _take_off_masks(self, restore):
        if self._enforcement.is_on:
            self._updates.take_off(restore, (self._seed, self._position.phase))
            self._enforcement.end()
        self._sparsity = 0.0

    def end_batch(self, batch):
        """Counts the batch number `batch`; returns whether masks are due after it.

        Or a look after their zeros, in the first batch.
        """
        # With `steps_per_execution` Keras counts beyond the end of an epoch.
        self._batches = min(batch + 1, self._steps or batch + 1)
        if not self._schedule:
            return False
        if self._enforcement.look_is_due:
            return True
        if not self._phase.update_every:
            return False
        return self._time(self._position.epoch) > self._position.time

    def update_masks(self):
        """Does what is due, see `end_batch`."""
        if self._enforcement.look_is_due:
            self._enforcement.look()
        self._update(self._time(self._position.epoch))

    def end_epoch(self, epoch, logs):
        """Adds to the logs, and looks whether the phase has come to its plateau.

        Returns:
            Whether training is over: the last phase is, in a run that may end early.
        """
        position, phase = self._position, self._phase
        position.steps = self._batches
        if self._schedule:
            self._enforcement.look()
        if phase.until and self._schedule_is_over(epoch):
            self._follow(phase.until, logs)
        logs["sparsity"] = self._sparsity
        logs["dsd_phase"] = float(position.phase)
        logs.update(self._watch.logs(self._updates))
        self._store()
        is_last = position.phase == len(self._timeline.phases) - 1
        is_over = position.over or epoch + 1 >= position.start + phase.epochs
        return bool(is_last and is_over and self._timeline.can_end_early)

    def _schedule_is_over(self, epoch):
        # Before its end a ramp makes the metric worse, which is no plateau.
        schedule = self._schedule
        return not schedule or schedule(self._time(epoch)) == self._phase.sparsity

    def _follow(self, plateau, logs):
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

    def finish(self):
        """Ends the run; optimizers get their own schedules back.

        Returns:
            Whether the step that was compiled last no longer fits.
        """
        before = self.trace_key
        if self._has_begun:
            self._follow_weights_set_back()
            self._position.finished = 1
            self._store()
        self._rates.unwrap()
        return self.trace_key != before

    def _follow_weights_set_back(self):
        """Takes over the phase of weights that, say, `EarlyStopping` has restored."""
        stored = self._states[0].position
        held = self._position
        if (stored.phase, stored.epoch) != (held.phase, held.epoch):
            self._position = stored
            for state in self._states:
                state.follow_position()

    def _store(self):
        for state in self._states:
            state.position = self._position
