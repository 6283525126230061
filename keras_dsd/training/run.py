"""One training run: what is due at an epoch, at a step, at the end, and doing it.

Between the timeline, which says what should hold, and the masks, the rates and the
layers' states, which hold it. `callback` drives it from `fit`. Knows phases, states and
optimizers; knows no model and no training loop.
"""

from typing import Any

from keras_dsd.layers.position import Position
from keras_dsd.training import auto_sparsity, drop_and_grow
from keras_dsd.training.early_end import EarlyEnd
from keras_dsd.training.enforcement import Enforcement
from keras_dsd.training.mask_updates import MaskUpdates
from keras_dsd.training.optimizer_watch import OptimizerWatch
from keras_dsd.training.phase_rates import PhaseRates
from keras_dsd.training.set_back import EpochEnds, follow_zeros
from keras_dsd.training.sparse_phase import SparsePhase
from keras_dsd.training.timeline import goes_on


class Run:
    """Plays a timeline on the prunable layers of one model.

    Args:
        timeline: the `Timeline`.
        prepared: the model, a `Prepared`.
        clock: a new `Clock`.
        recorder: the `Recorder` that is told of every phase and update.
        seed: integer for random draws.
    """

    _phase: Any  # one of `phases`
    _sparse: Any = None  # the `SparsePhase` in play, in a sparse phase
    _sparsity = 0.0

    def __init__(self, timeline, prepared, clock, recorder, seed):
        self._timeline = timeline
        self._prepared = prepared
        self._clock = clock
        self._recorder = recorder
        self._seed = seed
        position = prepared.states[0].position
        self._rates = PhaseRates(prepared.rates, timeline, position)
        self._optimizers = list(prepared.optimizers.values())
        self._watch = OptimizerWatch(prepared.optimizers)
        self._updates = MaskUpdates(prepared.weights, self._optimizers)
        self._enforcement = Enforcement(prepared, self._updates)
        self._early_end = EarlyEnd()
        self._ends = EpochEnds(prepared.weights)
        self._position = Position()
        self._has_begun = False
        self.searches = {}  # {index of a phase: the `Search` for its sparsity}

    @property
    def trace_key(self):
        """What a compiled step depends on, besides the model: one trace for each."""
        return self._enforcement.trace_key, self._rates.traced_factors

    def begin_epoch(self, epoch):
        """Switches phases, and updates the masks that are due with the epoch.

        The stored position is read in the first epoch, not before: what restores
        weights may do so until then.
        """
        if not self._has_begun:
            self._position = self._find_position(epoch)
            self._clock.resume(self._position.steps)
            self._recorder.begin(epoch if self._position.phase >= 0 else None)
        self._meet_optimizers()
        self._watch.begin_epoch()
        self._rates.begin_epoch(self._position)
        is_entered = self._timeline.move(self._position, epoch)
        self._clock.begin_epoch()
        self._recorder.begin_epoch()
        if is_entered or not self._has_begun:
            self._set_phase(self._position.phase, is_entered)
        self._has_begun = True
        if self._sparse:
            self._update_masks(self._time(epoch))
        self._store()

    def _meet_optimizers(self):
        """Takes over what was built since: slots, and which weights need a guard."""
        if self._watch.meet():
            self._prepared.check_needs()
            self._updates.find_slots()
            if self._sparse:
                self._enforce()

    def _find_position(self, epoch):
        states = self._prepared.states
        for state in states:
            state.follow_position()
        position = states[0].position
        self._rates.recover(position)
        if goes_on(position, epoch):
            position.finished = 0
            return position
        return Position()

    def _set_phase(self, index, is_entered):
        phase = self._phase = self._timeline.phases[index]
        if phase.is_auto:
            phase = self._resolve(index, is_entered)
        self._sparse = self._sparse_phase(phase, index) if phase.is_sparse else None
        if self._sparse and not is_entered:  # restored
            if not self._updates.zeros_are_kept():
                # The weights alone were, and have their zeros elsewhere.
                self._sparse.choose_again(self._position.time)
            elif not self._updates.zeros_are_kept(with_slots=True):
                # The optimizer's slots are later ones.
                self._updates.apply_again()
            self._enforce()
        elif is_entered and not self._sparse:
            self._take_off_masks()
        self._rates.enter(index)
        if is_entered:
            self._recorder.announce(self._timeline.describe(index))
            if index in self.searches:
                self._recorder.announce(str(self.searches[index]))

    def _resolve(self, index, is_entered):
        phase, prepared = self._timeline.phases[index], self._prepared
        phase, search = auto_sparsity.resolve(phase, index, prepared, is_entered)
        if search:
            self.searches[index] = search
        return phase

    def _sparse_phase(self, phase, index):
        prepared = self._prepared
        before = self._timeline.sparsity_before(index)
        targets = prepared.targets[index]
        return SparsePhase(
            phase=phase,
            schedule=phase.schedule_over(before, self._clock.steps_for(phase)),
            targets=targets,
            updates=self._updates,
            moving=drop_and_grow.for_phase(targets, prepared.weights, self._optimizers),
            clock=self._clock,
            seed=(self._seed, index),
            is_first=index == 0,
        )

    def _time(self, epoch):
        return self._clock.time(self._phase, epoch - self._position.start)

    def _update_masks(self, time):
        """Updates the masks if `time` is later than when they last were."""
        before = self._position.time
        if time <= before:
            return
        self._position.time = time
        update = self._recorder.begin_update()
        if before < 0:
            update.fraction = self._sparse.apply_first_masks(time)
            update.search = self.searches.get(self._position.phase)
            self._recorder.begin_phase()
            self._enforce()
        else:
            update.fraction = self._sparse.update(time, before)
        if update.fraction is not None:
            self._sparsity = self._recorder.sparsity()
            step = self._clock.optimizer_steps(self._position.epoch)
            self._recorder.write(update, self._position, step)

    def _enforce(self):
        """Puts the masks in force."""
        decay = self._sparse.gradient_decay(self._optimizers)
        self._enforcement.begin(self._sparse.targets, decay)
        self._sparsity = self._recorder.sparsity()

    def _take_off_masks(self):
        if self._enforcement.is_on:
            seed = self._seed, self._position.phase
            self._updates.take_off(self._phase.restore, seed)
            self._enforcement.end()
        self._sparsity = 0.0

    @property
    def rates_are_due(self):
        """Whether `begin_batch` has something to do."""
        return self._rates.are_due

    def begin_batch(self):
        """Scales the learning rates, in the first batch of an epoch."""
        if self._rates.begin_batch(self._position):
            self._store()

    def end_batch(self, batch):
        """Counts a batch; returns whether something is due after it.

        That is an update of the masks or, in the first batch, a check of their zeros
        and a look at optimizers that were built in it.

        Args:
            batch: its index in the epoch.
        """
        self._clock.count(batch)
        if self._watch.has_new:
            return True
        if not self._sparse:
            return False
        if self._enforcement.check_is_due:
            return True
        if not self._phase.update_every:
            return False
        return self._time(self._position.epoch) > self._position.time

    def update_masks(self):
        """Does what is due, see `end_batch`."""
        if self._enforcement.check_is_due:
            self._enforcement.check_zeros()
        self._meet_optimizers()
        if self._sparse:
            self._update_masks(self._time(self._position.epoch))

    def end_epoch(self, epoch, logs):
        """Adds to the logs, and looks whether the phase has come to its plateau.

        Returns:
            Whether training is over: the last phase is, in a run that may end early.

        Raises:
            ValueError: the metric of a `Plateau` has not come in the whole run.
        """
        position, phase = self._position, self._phase
        self._clock.end_epoch()
        position.steps = self._clock.batches
        self._watch.end_epoch(position.steps)
        if self._sparse:
            self._enforcement.check_zeros()
            self._sparsity = self._recorder.sparsity()
        is_last = position.phase == len(self._timeline.phases) - 1
        is_used_up = epoch + 1 >= position.start + phase.epochs
        if phase.until:
            counts = self._schedule_is_over(epoch)
            self._early_end.follow(phase.until, logs, position, counts)
            if is_used_up:
                self._early_end.end_phase(phase.until, logs, position, is_last)
        self._rates.end_epoch(position, logs)
        logs["sparsity"] = self._sparsity
        logs["dsd_phase"] = float(position.phase)
        logs.update(self._recorder.logs())
        self._store()
        self._ends.note(position)
        is_over = position.over or is_used_up
        return bool(is_last and is_over and self._timeline.can_end_early)

    def _schedule_is_over(self, epoch):
        # Before its end a ramp makes the metric worse, which is no plateau.
        sparse = self._sparse
        return sparse is None or sparse.is_at_its_sparsity(self._time(epoch))

    def finish(self):
        """Ends the run; optimizers get their own schedules back.

        Returns:
            Whether the step that was compiled last no longer fits.
        """
        before = self.trace_key
        if self._has_begun:
            self._rates.begin_epoch(self._position)  # as if another came
            self._follow_weights_set_back()
            self._enforcement.guard_all()
            self._position.finished = 1
            self._store()
        else:  # a callback may have restored a run that has no epoch left
            self._rates.recover(self._prepared.states[0].position)
        self._rates.finish()
        return self.trace_key != before

    def _follow_weights_set_back(self):
        """Takes over the phase of weights that a callback has restored.

        From a file they come with masks and position, as arrays they come alone.
        """
        stored = self._prepared.states[0].position
        held = self._position
        if (stored.phase, stored.epoch) != (held.phase, held.epoch):
            self._position = stored
            self._rates.recover(stored)
            for state in self._prepared.states:
                state.follow_position()
            return
        found = self._ends.find()
        if found is not None:
            self._position = found
        elif not self._enforcement.is_on or self._updates.zeros_are_kept():
            return
        targets = self._prepared.targets.get(self._position.phase)
        follow_zeros(self._prepared.states, targets)

    def _store(self):
        for state in self._prepared.states:
            state.position = self._position
