"""How far training has come: batches, optimizer steps, and the time of a schedule.

Knows counts only.
"""


class Clock:
    """Counts the batches of an epoch, and says what time it is in a phase.

    Args:
        steps: batches in an epoch, or `None` if the data does not tell.
        accumulation: batches to an optimizer step. Defaults to 1.

    Attributes:
        batches: how many of the epoch are over.
    """

    def __init__(self, steps, accumulation=1):
        self._told = steps
        self._counted = 0  # in an epoch that is over, where the data does not tell
        self._accumulation = accumulation
        self.batches = 0

    @property
    def steps(self):
        """Batches in an epoch, 0 as long as they are not known."""
        return self._told or self._counted

    def resume(self, counted):
        """Takes over how many batches an epoch had, in a run that goes on."""
        self._counted = counted

    def begin_epoch(self):
        """No batch of the epoch is over."""
        self.batches = 0

    def count(self, batch):
        """Notes that the batch with that index is over."""
        # With `steps_per_execution` Keras counts beyond the end of an epoch.
        self.batches = min(batch + 1, self._told or batch + 1)

    def end_epoch(self):
        """Remembers how many batches the epoch had."""
        self._counted = self.batches

    def optimizer_steps(self, epochs):
        """Returns how many optimizer steps have been made, after `epochs` whole ones.

        Args:
            epochs: how many epochs were over when this one began.
        """
        return (epochs * self.steps + self.batches) // self._accumulation

    def time(self, phase, epochs):
        """Returns the time of the last update due, in the unit of the phase's schedule.

        Args:
            phase: the phase.
            epochs: how many of its epochs were over when this one began.
        """
        every = phase.update_every
        return self.optimizer_steps(epochs) // every * every if every else epochs

    def steps_for(self, phase):
        """Returns the optimizer steps in an epoch, 0 if the phase does without.

        Raises:
            ValueError: they are not known, and the phase needs them.
        """
        steps = self.steps // self._accumulation
        if phase.update_every and not callable(phase.schedule) and not steps:
            raise ValueError(
                "The length of an epoch is not known, so the schedule has no end. Pass "
                "`steps_per_epoch` to `fit`, or a schedule with an `end`. "
                f"Received: schedule={phase.schedule!r}, "
                f"update_every={phase.update_every!r}"
            )
        return steps

    def length(self, phase):
        """Returns how long a sparse phase is, in the unit of its schedule's time."""
        return phase.length(self.steps_for(phase))
