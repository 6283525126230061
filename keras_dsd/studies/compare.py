"""`studies.compare`: methods against each other, over seeds, each run a fresh process.

Plays a study's runs on an executor and writes each record as it comes. Knows studies,
processes and records; statistics are `result`'s business.
"""

import concurrent.futures
import contextlib
import errno
import functools
import queue
import shutil

import keras

from keras_dsd._shared import checks
from keras_dsd.studies import processes, progress, records
from keras_dsd.studies.result import Result
from keras_dsd.studies.study import Study


# Each an option that a user names.
def compare(  # noqa: PLR0913
    build,
    data,
    *,
    methods,
    epochs,
    seeds,
    directory,
    compile=None,
    fit=None,
    metric=None,
    mode="auto",
    last=5,
    robustness=None,
    workers=1,
    threads=None,
    executor=None,
    verbose=1,
):
    """Trains every method with every seed, and returns what that allows to say.

    All methods get the same number of epochs and, for a seed, the same initial
    weights, the same batches in the same order (where `data` returns arrays) and the
    same draws of dropout and augmentation layers. Every run is a process of its own:
    one that crashes or runs out of memory loses itself only. The same call goes on
    with a study that was stopped or killed, from the last epoch of each unfinished run;
    failed runs are tried again.

    Args:
        build: function without arguments that returns a new plain model, built and
            (unless `compile` is given) compiled; or its name, "module:function".
        data: function, or its name, that returns (train, validation, test): each
            (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`. Validation may be `None`; then no best epoch is
            chosen. Test data choose nothing, ever.
        methods: list of names (`studies.methods.names()`; those that prune may end in
            a sparsity, `"rigl-0.9"`), or dict of names and `studies.Method`.
        epochs: of each run.
        seeds: list of different integers.
        directory: folder of the study; made if it is not there.
        compile: function of the model that compiles it. Defaults to `None`: `build`
            did.
        fit: dict of arguments of `fit`, say `batch_size` and `class_weight`;
            `callbacks` is a function that returns a list of them. Defaults to none.
        metric: which of the model's metrics counts. Defaults to `None`: the first one
            that is not the loss.
        mode: "max" if more of it is better, "min" if less is, or "auto": by its name.
            Defaults to "auto".
        last: over how many last epochs metrics are averaged as well. Defaults to 5.
        robustness: dict of arguments of `robustness.evaluate`, to measure each model
            on corrupted test images too. Defaults to `None`.
        workers: how many runs at once, on this machine. Defaults to 1.
        threads: cores of each run. Defaults to `None`: the machine's, by `workers`.
            With another number the last bits of floating-point sums may differ.
        executor: anything with the interface of `concurrent.futures.Executor`, to run
            on several machines: Dask's `client.get_executor()`, say. Defaults to
            `None`: `workers` processes here.
        verbose: 0 for silence, 1 for a progress bar. Defaults to 1.

    Returns:
        A `studies.Result`.

    Raises:
        TypeError, ValueError: before anything is trained: an argument is not as said,
            `build` returns the same model twice or no plain model, data that are empty
            or do not fit the loss, `directory` holds another study, or another process
            makes runs there.
        OSError: the disk is full, or a record can't be written: the study stops, and
            nothing finished is lost.
    """
    study = Study.of(
        build,
        data,
        methods_wanted=methods,
        epochs=epochs,
        seeds=seeds,
        directory=directory,
        fit=fit,
        compile=compile,
        metric=metric,
        mode=mode,
        last=last,
        robustness=robustness,
    )
    _check(workers, threads, executor)
    _play(study, workers, threads, executor, verbose)
    return Result(study.directory, methods=list(study.methods), seeds=study.seeds)


def _check(workers, threads, executor):
    checks.integer(workers, "workers", at_least=1)
    if threads is not None:
        checks.integer(threads, "threads", at_least=1)
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "`executor` must have a `submit`, as `concurrent.futures.Executor` has. "
            f"Received: executor={executor!r}"
        )


def _play(study, workers, threads, executor, verbose):
    """Makes the runs of a study that have no record yet."""
    missing = []
    for run in study.runs:
        if is_finished(study, run):
            _tidy(study, run)
        else:
            missing.append(run)
    if not missing:
        return
    study.checked()
    if not study.place.study.exists():
        look(study)  # a study that has its folder was looked at
    study.claim()
    with study.place.held(), progress.shown(study, missing, verbose) as told:
        if executor is None:
            _play_here(study, missing, told, workers, threads)
        else:
            _play_there(study, missing, told, executor)


def look(study, *, timed=False):
    """Returns what `probe` found, in a fresh process; raises what it raised."""
    first = next(iter(study.methods))
    work = study.work(first, study.seeds[0])
    if timed:
        work = work.timed()
    found, error = processes.run("probe", work.to_bytes(), environment=_backend())
    if error:
        raise ValueError(
            f"The study can't begin. Received: {error['message']}\n"
            + "\n".join(error["output"])
        )
    return found


def is_finished(study, run):
    """Returns whether a run has its record."""
    with contextlib.suppress(FileNotFoundError, records.StudyError):
        records.read(study.place.run(*run))
        return True
    return False


def _tidy(study, run):
    """Removes what a finished run needs no more, also what a kill left there."""
    study.place.failure(*run).unlink(missing_ok=True)
    shutil.rmtree(study.place.progress(*run), ignore_errors=True)


def _backend():
    return {"KERAS_BACKEND": keras.backend.backend()}


def one_run(data, environment, tell=None, children=None):
    """Makes one run in a fresh process; what executors are given to call."""
    return processes.run(
        "single_run", data, environment=environment, tell=tell, children=children
    )


def _play_here(study, missing, told, workers, threads):
    # Each of the threads holds a share of the machine while it runs a child.
    free: queue.Queue = queue.Queue()
    for share in processes.shares(workers, threads):
        free.put(share)
    children = processes.Children()

    def play(run):
        share = free.get()
        try:
            told.began(run)
            return one_run(
                study.work(*run).to_bytes(),
                {**_backend(), **share},
                tell=functools.partial(told.epoch, run),
                children=children,
            )
        finally:
            free.put(share)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(play, run): run for run in missing}
        try:
            _collect(study, futures, told)
        except BaseException:
            for future in futures:
                future.cancel()
            children.end()
            raise


def _play_there(study, missing, told, executor):
    # The backend is this machine's: a worker may have another one set.
    futures = {
        executor.submit(one_run, study.work(*run).to_bytes(), _backend()): run
        for run in missing
    }
    try:
        _collect(study, futures, told)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _collect(study, futures, told):
    """Writes down each run as it ends, and forgets it: memory must not grow."""
    for future in concurrent.futures.as_completed(list(futures)):
        run = futures.pop(future)
        try:
            record, error = future.result()
        except Exception as problem:  # an executor's own: a worker that was lost, say
            if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
                raise
            record, error = None, {"message": f"{type(problem).__name__}: {problem}"}
        del future
        if error is None:
            records.write(study.place.run(*run), record)
            _tidy(study, run)
        else:
            name, seed = run
            failure = {"version": records.VERSION, "method": name, "seed": seed}
            records.write(study.place.failure(*run), {**failure, "error": error})
        del record
        told.ended(run, error)
