"""Studies: several runs over seeds, and the decision that they allow.

`compare` trains methods against each other; the `Result` says what that shows, and
what it doesn't. Knows models and data only by the functions that make them. Needs the
extra `studies`.
"""

from keras_dsd.studies import _extras  # noqa: F401  (before the rest)
from keras_dsd.studies.compare import compare
from keras_dsd.studies.methods import Method
from keras_dsd.studies.result import Result
from keras_dsd.studies.spaces import suggest_phases
from keras_dsd.studies.tuned import Tuned
from keras_dsd.studies.tuning import tune

__all__ = [
    "Method",
    "Result",
    "Tuned",
    "batches",
    "compare",
    "demo",
    "measuring",
    "methods",
    "paired",
    "planning",
    "single_run",
    "spaces",
    "study_file",
    "suggest_phases",
    "task",
    "tune",
    "verdicts",
    "worth",
]
