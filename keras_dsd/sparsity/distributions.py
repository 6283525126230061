"""Distributions: how one sparsity is shared out among the layers of a model.

A distribution is any callable `distribution(shapes, sparsity, paths=None)` that returns
one sparsity per shape, in order. It knows shapes, numbers and paths (strings), no
weights and no model. `paths` is there for those that choose by name; the others ignore
it.
"""

import dataclasses
import math
import operator
from fractions import Fraction

from keras_dsd._shared import checks
from keras_dsd._shared import paths as weight_paths
from keras_dsd._shared.config import Config, serializable
from keras_dsd.sparsity import counts


@serializable
def uniform(shapes, sparsity, paths=None):
    """Gives every layer the same sparsity, as DSD does (arXiv:1607.04381).

    Args:
        shapes: list of shapes, tuples of integers; one per weight.
        sparsity: number in [0, 1), the fraction of zeros.
        paths: ignored.

    Returns:
        A list of floats, one per shape.

    Raises:
        TypeError, ValueError: `shapes` or `sparsity` is not as said.

    >>> from keras_dsd import distributions
    >>> distributions.uniform([(784, 300), (300, 10)], 0.5)
    [0.5, 0.5]
    """
    target = counts.as_fraction(checks.sparsity(sparsity))
    return [_as_float(target, math.prod(shape)) for shape in _checked(shapes)]


@serializable
def er(shapes, sparsity, paths=None):
    """Erdos-Renyi: wide layers get sparser (SET, Mocanu et al. 2018, 1707.04780).

    The density of a layer is eps * (n_in + n_out) / (n_in * n_out), over the last two
    axes only. One eps for all makes the survivors add up to (1 - sparsity) of all
    weights; a layer whose density would exceed 1 stays dense and the others pay for it
    (as in RigL, Evci et al. 2020, arXiv:1911.11134, whose code solves for counts that
    are floored per layer; here only the results are).

    Args:
        shapes: list of shapes, tuples of integers, of rank 2 or more.
        sparsity: number in [0, 1), the fraction of zeros over all layers together.
        paths: ignored.

    Returns:
        A list of floats, one per shape; 0.0 for a dense layer. Each is floored to a
        whole number of zeros, so that the total falls short of the one asked for by
        less than one weight per layer.

    Raises:
        TypeError, ValueError: `shapes` or `sparsity` is not as said.

    >>> from keras_dsd import distributions
    >>> shapes = [(784, 300), (300, 100), (100, 10)]
    >>> [round(s, 3) for s in distributions.er(shapes, 0.9)]
    [0.92, 0.77, 0.0]
    """
    shapes = _checked(shapes, rank=2)
    raw = [Fraction(a + b, a * b) for *_, a, b in shapes]
    return _scaled(shapes, sparsity, raw)


@serializable
def erk(shapes, sparsity, paths=None):
    """Erdos-Renyi-Kernel: as `er`, but the whole kernel shape counts.

    The density of a layer is eps * sum(shape) / prod(shape), so that convolution
    kernels get sparser than 1x1 ones (RigL, Evci et al. 2020, arXiv:1911.11134). For
    matrices it equals `er`.

    Args:
        shapes: list of shapes, tuples of integers.
        sparsity: number in [0, 1), the fraction of zeros over all layers together.
        paths: ignored.

    Returns:
        A list of floats, one per shape; 0.0 for a dense layer. Floored as in `er`.

    Raises:
        TypeError, ValueError: `shapes` or `sparsity` is not as said.

    >>> from keras_dsd import distributions
    >>> shapes = [(3, 3, 16, 32), (1, 1, 32, 64), (64, 10)]
    >>> [round(s, 3) for s in distributions.erk(shapes, 0.5)]
    [0.768, 0.053, 0.0]
    """
    shapes = _checked(shapes)
    raw = [Fraction(sum(shape), math.prod(shape)) for shape in shapes]
    return _scaled(shapes, sparsity, raw)


@serializable
def global_(shapes, sparsity, paths=None):
    """Leaves the shares to one ranking of magnitudes over all layers.

    Which layer gets how many zeros then depends on the weights, which a distribution
    does not know (see `masks.global_magnitude`; Blalock et al. 2020, arXiv:2003.03033,
    compare it with layerwise pruning).

    Args:
        shapes: list of shapes, tuples of integers; one per weight.
        sparsity: number in [0, 1), the fraction of zeros over all layers together.
        paths: ignored.

    Returns:
        A list of None, one per shape: "to be ranked together with the others".

    Raises:
        TypeError, ValueError: `shapes` or `sparsity` is not as said.

    >>> from keras_dsd import distributions
    >>> distributions.global_([(784, 300), (300, 10)], 0.5)
    [None, None]
    """
    checks.sparsity(sparsity)
    return [None for _ in _checked(shapes)]


@serializable
@dataclasses.dataclass(frozen=True)
class PerLayer(Config):
    """A distribution that looks the sparsity up by weight path; see `per_layer`."""

    targets: dict[str, float]

    def __post_init__(self):
        if not isinstance(self.targets, dict):
            raise TypeError(
                "`targets` must be a dict {regex on the weight path: sparsity}. "
                f"Received: targets={self.targets!r}"
            )
        weight_paths.check(self.targets, "targets", self.targets)
        targets = {  # a new dict: the caller may go on to change theirs
            regex: float(
                counts.as_fraction(checks.sparsity(value, f"targets[{regex!r}]"))
            )
            for regex, value in self.targets.items()
        }
        object.__setattr__(self, "targets", targets)

    def __call__(self, shapes, sparsity, paths=None):
        """Returns one sparsity per shape, by its path; `sparsity` where none matches.

        Raises:
            TypeError, ValueError: an argument is malformed; `paths` is missing or not
                one string per shape; a regex matches no path.
        """
        rest = uniform(shapes, sparsity)
        listed = isinstance(paths, (list, tuple)) and len(paths) == len(rest)
        if not listed or not all(isinstance(path, str) for path in paths):
            raise ValueError(
                "`per_layer` needs `paths`, a list of one string per shape, "
                f"{len(rest)} here. Received: paths={paths!r}"
            )
        weight_paths.must_match(self.targets, paths, "targets", self.targets)
        return [
            weight_paths.look_up(self.targets, path, default)
            for path, default in zip(paths, rest, strict=True)
        ]


def per_layer(targets):
    """Returns a distribution that gives chosen layers a sparsity of their own.

    Args:
        targets: dict {regex: sparsity}. A regex is searched (`re.search`) in the path
            of a weight; the first that matches, in the order of the dict, decides. A
            weight that none matches gets the sparsity of the call.

    Returns:
        A `PerLayer`, to be called with (shapes, sparsity, paths).

    Raises:
        TypeError, ValueError: a key is not a regex, a value not a number in [0, 1).

    >>> from keras_dsd import distributions
    >>> mixed = distributions.per_layer({"head": 0.0, "conv": 0.25})
    >>> paths = ["conv1/kernel", "fc/kernel", "head/kernel"]
    >>> mixed([(3, 3, 8, 16), (64, 32), (32, 10)], 0.5, paths)
    [0.25, 0.5, 0.0]
    """
    return PerLayer(targets)


BY_NAME = {"uniform": uniform, "er": er, "erk": erk, "global": global_}


def get(identifier):
    """Returns the distribution that `identifier` names.

    Args:
        identifier: "uniform", "er", "erk" or "global"; a dict {regex: sparsity}
            (`per_layer`); or a callable (shapes, sparsity, paths), returned as it is.

    Raises:
        TypeError, ValueError: anything else; the message lists the names.

    >>> from keras_dsd import distributions
    >>> distributions.get({"head": 0.0})
    PerLayer(targets={'head': 0.0})
    """
    if isinstance(identifier, dict):
        return per_layer(identifier)
    if callable(identifier):
        return identifier
    return checks.known(identifier, "distribution", BY_NAME)


def _checked(shapes, rank=1):
    """Returns the shapes as tuples of Python integers, which do not overflow."""
    wanted = f"`shapes` must be a list of shapes of rank {rank} or more, without empty"
    try:
        # `operator.index` takes the integers of all libraries, and nothing else.
        checked = [tuple(map(operator.index, shape)) for shape in shapes]
    except Exception:  # each backend's tensors raise their own kind
        raise TypeError(f"{wanted} axes. Received: shapes={shapes!r}") from None
    if any(len(shape) < rank or min(shape) < 1 for shape in checked):
        raise ValueError(f"{wanted} axes. Received: shapes={shapes!r}")
    return checked


def _scaled(shapes, sparsity, raw):
    """Returns the sparsities 1 - eps * raw; layers that this overfills stay dense."""
    target = counts.as_fraction(checks.sparsity(sparsity))
    sizes = [math.prod(shape) for shape in shapes]
    budget = (1 - target) * sum(sizes)
    sparse = set(range(len(sizes)))
    while sparse:
        # Exact: whether the last layer is full (eps * raw == 1) is no rounding matter.
        eps = budget / sum(raw[i] * sizes[i] for i in sparse)
        largest = max(raw[i] for i in sparse)
        if largest * eps <= 1:
            break
        full = {i for i in sparse if raw[i] == largest}
        budget -= sum(sizes[i] for i in full)
        sparse -= full
    return [
        _as_float(1 - eps * raw[i], size) if i in sparse else 0.0
        for i, size in enumerate(sizes)
    ]


def _as_float(exact, size):
    """Returns the float for `exact` that gives the same count of zeros.

    2/7 of 7 weights is 2, but the nearest float is written 0.2857142857142857, of
    which 7 is 1.9999999999999999: there the next float is taken.
    """
    nearest = float(exact)
    error = counts.zeros(size, nearest) - counts.zeros(size, exact)
    return math.nextafter(nearest, float(error < 0)) if error else nearest
