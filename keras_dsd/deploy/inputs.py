"""What a model is called with to compare an export: given or drawn, in batches.

Knows models and arrays; no files.
"""

import dataclasses
import json

import keras
import numpy as np

BATCH_SIZES = (1, 3)
SIDE = 32  # of an axis that may have any length


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The arguments of a model's call.

    Args:
        arguments: list of arrays, or of structures of arrays.
        names: list of str; those of the flat arrays.
    """

    arguments: list
    names: list

    def flat(self):
        """Returns all arrays in one list."""
        return keras.tree.flatten(self.arguments)

    def batches(self, sizes=BATCH_SIZES):
        """Returns the same, cut to several numbers of items; those there are enough of.

        The first has one item. A signature that takes a fixed number has that alone.
        """
        most = min(len(array) for array in self.flat())
        return [self._of(range(size)) for size in sizes if size <= most]

    def _of(self, items):
        cut = keras.tree.map_structure(lambda array: array[list(items)], self.arguments)
        return dataclasses.replace(self, arguments=cut)

    def call(self, model):
        """Returns a model's outputs, a flat list of arrays."""
        found = keras.tree.flatten(model(*self.arguments, training=False))
        arrays = [keras.ops.convert_to_numpy(one) for one in found]
        # NumPy knows no bfloat16.
        return [a.astype("float32") if a.dtype.kind == "V" else a for a in arrays]


def save(batches, path):
    """Writes batches, a list of `Inputs`, to an `.npz` file, for `runtime.load`."""
    structure: dict = {"arguments": [], "names": []}
    arrays: dict = {}
    for number, batch in enumerate(batches):
        flat = batch.flat()
        # Packed as it was flattened: backends differ in the order of a dict's values.
        indices = keras.tree.pack_sequence_as(batch.arguments, list(range(len(flat))))
        structure = {"arguments": indices, "names": batch.names}
        arrays |= {f"{number}/{index}": array for index, array in enumerate(flat)}
    np.savez(path, structure=json.dumps(structure), **arrays)


def of(model, inputs=None, seed=0):
    """Returns what to call a model with.

    Args:
        model: a `keras.Model`.
        inputs: what the model is called with: an array, or a list or dict of arrays, as
            many items in each. Defaults to `None`: numbers are drawn, which needs a
            model that knows its inputs, as functional and sequential ones do.
        seed: of the draws.

    Raises:
        TypeError, ValueError: inputs that are no arrays, have no items or not as many
            in each; none where they can't be drawn.
    """
    wanted = getattr(model, "inputs", None)
    if inputs is None:
        if not wanted:
            raise ValueError(
                "Give `inputs`, say a batch of the test data: a subclassed model does "
                f"not tell what it takes. Received: inputs=None, model={model!r}"
            )
        generator = np.random.default_rng(seed)
        size = wanted[0].shape[0] or max(BATCH_SIZES)
        arguments = [
            keras.tree.map_structure(
                lambda tensor: _drawn(tensor, size, generator), _structure(model)
            )
        ]
    else:
        arguments = [keras.tree.map_structure(_array, inputs)]
    found = Inputs(arguments, [])
    sizes = {len(array) for array in found.flat()}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            "`inputs` must be arrays with the same number of items, one or more. "
            f"Received: inputs with {sorted(sizes)} items"
        )
    return dataclasses.replace(found, names=_names(model, len(found.flat())))


def _structure(model):
    # A sequential model has no `input` until it was called.
    alone = isinstance(model, keras.Sequential)
    return model.inputs[0] if alone else model.input


def _names(model, count):
    known = keras.tree.flatten(_structure(model)) if getattr(model, "inputs", 0) else []
    if len(known) == count:
        return [tensor.name for tensor in known]
    return [f"args_{index}" for index in range(count)]


def _array(value):
    try:
        array = np.asarray(keras.ops.convert_to_numpy(value))
    except Exception:  # strings, and what is no tensor
        array = np.asarray(value)
    if array.ndim == 0 or array.dtype == object:
        raise TypeError(
            "`inputs` must be an array, or a list or dict of arrays, whose first "
            f"axis counts items. Received: {value!r} (of type {type(value).__name__})"
        )
    return array


def _drawn(tensor, size, generator):
    shape = [size, *(side or SIDE for side in tensor.shape[1:])]
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if dtype == "string":
        raise ValueError(
            "Give `inputs`: strings can't be drawn. Received: inputs=None for "
            f"{tensor.name!r} of dtype string"
        )
    if keras.backend.is_float_dtype(dtype):
        return generator.normal(size=shape).astype(_numpy(dtype))
    # Small enough to be an index of whatever it may be.
    return generator.integers(0, 2, size=shape).astype(dtype)


def _numpy(dtype):
    # Files hold no bfloat16; a model casts what it is given.
    return "float32" if dtype in ("bfloat16", "float16") else dtype
