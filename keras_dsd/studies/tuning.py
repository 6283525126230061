"""`studies.tune`: the phases that do best on validation data, confirmed on fresh seeds.

Trials are runs of a study. Knows searches and comparisons.
"""

import pathlib

from keras_dsd._shared import checks, extras
from keras_dsd.studies import spaces
from keras_dsd.studies.compare import compare
from keras_dsd.studies.search import Search
from keras_dsd.studies.tuned import Tuned

SEED = 2**20  # of the first fresh seed, unless a user gives them


# Each an option that a user names.
def tune(  # noqa: PLR0913
    build,
    data,
    *,
    epochs,
    trials,
    directory,
    space=None,
    seeds=(0,),
    fresh_seeds=8,
    against="conventional",
    sampler_seed=0,
    workers=1,
    executor=None,
    **arguments,
):
    """Searches phases that suit a model and its data, and says what they are worth.

    Every trial is trained to its end, for a sparse phase looks bad until the weights
    are back; its value is the metric on validation data after the last epoch, the mean
    over `seeds`. Test data choose nothing. The best of many trials is always
    flattered: so it is trained again, with seeds of which the search knows nothing,
    against another method with the same seeds.

    Every run is a process of its own, as in `compare`. The same call goes on with a
    search that was stopped or killed, and ends with the same trials, if `workers` is
    the same; more `trials` may be asked for. A run that fails is told to the search as
    failed, and tried again by the next call.

    Args:
        build: as for `compare`.
        data: as for `compare`; with validation data.
        epochs: of each run.
        trials: how many sets of phases to try.
        directory: folder of the search; made if it is not there.
        space: dict that changes what is searched (`studies.spaces.SPACE`: method,
            sparsity, distribution, shares of the phases, factor of the rate, restore
            policy, cycles): a pair is a range, a list a choice, anything else is fixed.
            Defaults to `None`.
        seeds: list of integers, those of each trial. Defaults to (0,).
        fresh_seeds: list of integers, those of the comparison, or how many. Defaults
            to 8.
        against: name of the method to compare with. Defaults to `"conventional"`.
        sampler_seed: integer; of the suggestions (Optuna's TPE). Defaults to 0.
        workers: how many trials are suggested and trained at once. Defaults to 1.
        executor: as for `compare`. Defaults to `None`.
        **arguments: others of `compare`: `compile`, `fit`, `metric`, `mode`, `last`,
            `threads`, `robustness`, `verbose`.

    Returns:
        A `studies.Tuned`.

    Raises:
        ImportError: Optuna is not installed.
        TypeError, ValueError: before anything is trained: an argument is not as said,
            `data` has no validation data, `directory` holds another search. After the
            search: all trials failed.
    """
    extras.require("tune", needed_by="`studies.tune`")
    trials = checks.integer(trials, "trials", at_least=1)
    checks.integer(workers, "workers", at_least=1)
    checks.integer(sampler_seed, "sampler_seed", at_least=0)
    space = spaces.check(space)
    fresh = _fresh(fresh_seeds)
    overlap = sorted(set(fresh) & set(checks.listed(seeds, "seeds", "integers")))
    if overlap:
        raise ValueError(
            "`fresh_seeds` must be others than those of the search. "
            f"Received: {overlap} in both"
        )
    directory = pathlib.Path(directory).absolute()
    common = {
        "build": build,
        "data": data,
        "epochs": epochs,
        "workers": workers,
        "executor": executor,
        **arguments,
    }
    search = Search(directory, space, sampler_seed, common, list(seeds), against)
    search.begin()
    search.run(trials, batch=workers)
    best = search.best()
    confirmed = compare(
        **common,
        methods={against: against, "tuned": search.method(best)},
        seeds=fresh,
        directory=directory / f"confirmed-{best['number']:03d}",
    )
    return Tuned(search.trials(), best, confirmed, against)


def _fresh(wanted):
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        count = checks.integer(wanted, "fresh_seeds", at_least=1)
        return list(range(SEED, SEED + count))
    return checks.listed(wanted, "fresh_seeds", "integers")
