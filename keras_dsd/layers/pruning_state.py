"""What a prunable layer carries: its masks and its place in training, saved with it.

`PruningState` is a child layer, so Keras saves, restores and distributes the masks
under a name of their own: the layer's own weights keep their paths, their order and
their place in every file. Masks are among `variables` but not `weights`, as the states
of Keras's seed generators are: no parameters, and nothing that `get_weights` copies.
Knows one layer's weights; knows no phase.
"""

import keras
import numpy as np

from keras_dsd._shared import keras_private, scopes
from keras_dsd.layers import state_files, weight_views
from keras_dsd.layers.guards import KeepZeros, MaskedRegularizer
from keras_dsd.layers.position import Position
from keras_dsd.layers.pruned_weight import PrunedWeight
from keras_dsd.layers.weight_views import Read


class PruningState(keras.layers.Layer):
    """The masks of one layer's weights, and where its training run stands.

    Args:
        sparsity: the layer's own target or `None`.
        pattern: the layer's own pattern or `None`.
        track_gradients: whether the gradients of the dense weights are kept.

    Attributes:
        pruned: tuple of `PrunedWeight`, empty until the layer is built.
        in_force: whether the layer reads its weights masked. Python state, for it
            decides what is traced; `position` keeps a copy for the file.
        decay: how much of a tracked gradient is kept from step to step.
        guarded: how many of the weights `KeepZeros` holds.
    """

    def __init__(self, sparsity=None, pattern=None, track_gradients=False):
        # float32 whatever the global policy: nothing here is computed with.
        super().__init__(name="pruning_state", dtype="float32")
        self.sparsity = sparsity
        self.pattern = pattern
        self.track_gradients = track_gradients
        self.in_force = False
        self.decay = 0.0
        self.guarded = 0
        self._is_known = None
        self._hold(())

    @property
    def weights(self):
        """Tracked gradients alone: among `trainable_weights` Keras looks for them."""
        return [w.gradient for w in self.pruned if w.gradient is not None]

    def _hold(self, pruned):
        # Past Keras's tracking: these weights belong to the prunable layer, not here.
        object.__setattr__(self, "pruned", pruned)

    def create(self, variables, origins):
        """Makes an all-True mask for each of `variables`, known by its origin."""
        # By NumPy: Keras's own initializer is a program to compile for each shape.
        known = zip(variables, origins, strict=True)
        self._hold(
            tuple(
                PrunedWeight(
                    variable,
                    self._add_beside(variable, "bool", np.ones, f"mask_{index}"),
                    origin,
                    self.sparsity,
                    self.pattern,
                )
                for index, (variable, origin) in enumerate(known)
            )
        )
        if self.track_gradients:
            for index, weight in enumerate(self.pruned):
                # A trainable variable, for Keras writes to no other.
                weight.gradient = self._add_beside(
                    weight.variable,
                    weight.variable.dtype,
                    "zeros",
                    f"gradient_{index}",
                    trainable=True,
                    aggregation="sum",
                )
                weight.gradient.overwrite_with_gradient = True
        start = Position().to_array()
        self._add(start.shape, "int32", lambda shape, dtype: start, "position")
        self.built = True

    def _add(self, shape, dtype, initializer, name, **options):
        options = {"trainable": False, "initializer": initializer, **options}
        with scopes.of(self._layer_path()):
            variable = self.add_weight(
                shape=shape, dtype=dtype, autocast=False, name=name, **options
            )
        setattr(self, f"_{name}", variable)  # where `tf.train.Checkpoint` finds it
        return variable

    def _add_beside(self, weight, dtype, initializer, name, **options):
        """Returns a new variable of the shape of a weight, and where that is."""
        variable = self._add(weight.shape, dtype, initializer, name, **options)
        keras_private.lay_out_as(variable, weight)
        return variable

    def keep_pruned_values(self):
        """Adds variables for the values with which weights are pruned, for `rewind`."""
        for index, weight in enumerate(self.pruned):
            if weight.rewind is None:
                weight.rewind = self._add_beside(
                    weight.variable, weight.variable.dtype, "zeros", f"rewind_{index}"
                )

    def keep_explored(self):
        """Adds variables that remember which weights have lived, for `regrowth`."""
        for index, weight in enumerate(self.pruned):
            if weight.explored is None:
                weight.explored = self._add_beside(
                    weight.variable, "bool", np.ones, f"explored_{index}"
                )

    def keep_found(self):
        """Makes room for sparsities that a phase with `sparsity="auto"` finds."""
        if not hasattr(self, "_found"):
            nothing = np.full(len(self.pruned), -1, "int32")
            self._add(nothing.shape, "int32", lambda shape, dtype: nothing, "found")

    @property
    def found(self):
        """What was found for each weight, in steps of `trials.STEPS`; -1: nothing."""
        return keras.ops.convert_to_numpy(self._found).tolist()

    @found.setter
    def found(self, steps):
        self._found.assign(np.array(steps, "int32"))

    def reads(self):
        """Returns how the layer's own weights are to be read (list of `Read`)."""
        if self.in_force and self._is_known and not self._is_known():
            self._guard_all()
        return [
            Read(
                weight.variable,
                weight.mask if self.in_force else None,
                weight.gradient,
                self.decay,
                _saw(weight.variable.constraint),
            )
            for weight in self.pruned
            if self.in_force or weight.gradient is not None
        ]

    @property
    def position(self):
        """Where the run stands (a `Position`); setting it writes the variable."""
        return Position.from_array(keras.ops.convert_to_numpy(self._position))

    @position.setter
    def position(self, position):
        position.in_force = int(self.in_force)
        self._position.assign(position.to_array())

    def _position_now(self):
        # A checkpoint of TensorFlow's restores variables, and tells nobody.
        position = self.position
        position.in_force = int(self.in_force)
        return position

    def enforce(self, averages=None, decay=0.0, unguarded=(), is_known=None):
        """From now on pruned weights stay zero and their gradients are masked.

        Args:
            averages: {id(weight): the optimizer's moving average of it}, if any.
            decay: how much of a tracked gradient is kept from step to step.
            unguarded: ids of weights whose zeros their optimizer keeps by itself.
                Defaults to none, for optimizers that nobody knows.
            is_known: function of whether that is still the optimizer, asked as the
                layer is called; if not, all are guarded. Defaults to `None`: it is.
        """
        self._take_off()
        self._is_known = is_known
        self.in_force, self.decay, self.guarded = True, decay, 0
        for weight in self.pruned:
            variable = weight.variable
            if variable.constraint is not None or id(variable) not in unguarded:
                self._guard(weight, (averages or {}).get(id(variable)))
            if variable.regularizer is not None:
                variable.regularizer = MaskedRegularizer(
                    variable.regularizer, weight.mask
                )
        self._attach_reads()
        self._set_in_force(True)

    def _guard(self, weight, average=None):
        variable = weight.variable
        variable.constraint = KeepZeros(variable.constraint, weight.mask, average)
        self.guarded += 1

    def _guard_all(self):
        """Guards what is not: the model was compiled with another optimizer since."""
        self._is_known = None
        for weight in self.pruned:
            if not isinstance(weight.variable.constraint, KeepZeros):
                self._guard(weight)
        self._attach_reads()

    def _attach_reads(self):
        for read in self.reads():
            weight_views.attach(read)

    def release(self):
        """The weights are plain again; the masks stay as they are."""
        self._take_off()
        self._set_in_force(False)

    def follow_zeros(self):
        """Makes the masks those of the weights as they are: what is zero is held.

        For weights that came without masks. A layer that has no zero is plain.
        """
        zeros = 0
        for weight in self.pruned:
            mask = keras.ops.convert_to_numpy(weight.variable).astype("float32") != 0
            weight.mask.assign(mask)
            zeros += mask.size - mask.sum()
        if zeros:
            self.enforce()
        else:
            self.release()

    def forget_masks(self):
        """The weights are plain, and no mask is left of an earlier phase."""
        self.release()
        for weight in self.pruned:
            weight.mask.assign(keras.ops.ones_like(weight.mask.value))

    def follow_position(self):
        """Makes the layer agree with the position that was restored with its masks."""
        if self.position.in_force:
            self.enforce()
        else:
            self.release()

    def _set_in_force(self, in_force):
        self.in_force = in_force
        if self.built:
            self.position = self.position  # with the copy for the file

    def _take_off(self):
        for weight in self.pruned:
            variable = weight.variable
            weight_views.detach(variable)
            if isinstance(variable.constraint, KeepZeros):
                variable.constraint = variable.constraint.constraint
            if isinstance(variable.regularizer, MaskedRegularizer):
                variable.regularizer = variable.regularizer.regularizer

    def quantize(self, mode=None, type_check=True, config=None):
        """Refuses: `Model.quantize` would pass over the prunable layer in silence."""
        raise ValueError(
            "A prunable layer can't be quantized: call `keras_dsd.strip(model)` first. "
            f"Received: mode={mode!r}"
        )

    def save_own_variables(self, store):
        """Writes masks, position and values to go back to, and a digest of them."""
        if not self.built:
            return
        arrays = {v.name: keras.ops.convert_to_numpy(v) for v in self.variables}
        arrays["position"] = self._position_now().to_array()
        state_files.write(store, arrays)

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote.

        A file of the plain model has nothing here: the masks stay as they are.
        """
        arrays = {name: store[name] for name in list(store.keys())}  # no dictionary
        if not arrays:
            return
        if any(name.startswith("rewind_") for name in arrays):
            self.keep_pruned_values()
        if any(name.startswith("explored_") for name in arrays):
            self.keep_explored()
        if "found" in arrays:
            self.keep_found()
        own = {variable.name: tuple(variable.shape) for variable in self.variables}
        state_files.check(arrays, own, self._layer_path(), keras_private.file_of(store))
        for variable in self.variables:
            if variable.name in arrays:
                variable.assign(arrays[variable.name])
        self.follow_position()

    def _layer_path(self):
        if not self.built:  # then the layer has its scopes open
            return ""
        return self._position.path.removesuffix(f"/{self.name}/position")


def _saw(constraint):
    return constraint.saw if isinstance(constraint, KeepZeros) else None
