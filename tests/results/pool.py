"""Processes that make one run after another, for runs that are shorter than a start.

A study makes each run in a fresh process: one that crashes loses itself only, and none
can see what another left. Models and data of the map are known to leave nothing, and
the same bits come out (`--repeat` makes its runs in fresh processes); but seconds and
memory are not those of a fresh process, and the page shows neither. Knows tasks and
single runs.
"""

import concurrent.futures
import gc
import multiprocessing
import os

from keras_dsd.studies import processes

RUNS = 60  # of a process, which grows with each on JAX


class Pool(concurrent.futures.Executor):
    """What `studies.compare` takes as `executor`.

    Args:
        workers: how many processes, a core each.
    """

    def __init__(self, workers):
        (share,) = processes.shares(1, threads=1)
        os.environ |= share  # what a process of its own would get
        self._workers, self._begun, self._pools = workers, 0, []

    def submit(self, fn, /, data, environment):
        """Makes a run here in place of `fn`, which would start a process for it."""
        # Not `max_tasks_per_child`: with it Python 3.11 waits for ever, now and then.
        if self._begun % (RUNS * self._workers) == 0:
            self.shutdown(wait=False)
            context = multiprocessing.get_context("spawn")
            self._pools.append(
                concurrent.futures.ProcessPoolExecutor(self._workers, context)
            )
        self._begun += 1
        return self._pools[-1].submit(_run, data)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Ends the processes, each when its runs are made."""
        for one in self._pools:
            one.shutdown(wait, cancel_futures=cancel_futures)


def _run(data):
    import keras

    from keras_dsd.studies import single_run, task

    keras.utils.clear_session()  # names of layers count from the beginning again
    record = single_run.run(task.Task.from_bytes(data))
    gc.collect()
    return record, None
