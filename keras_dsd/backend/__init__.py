"""The one backend that runs: all that differs between TensorFlow, JAX and PyTorch.

Nothing else in the package imports any of the three, and this imports one of them only.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_dsd.backend.tensorflow import (
        bits,
        compiled,
        compiled_update_each,
        find_cuts,
        from_bits,
        fused,
        gradients_wanted,
        is_traced,
        new_train_function,
        replicas,
    )
elif keras.backend.backend() == "jax":
    from keras_dsd.backend.jax import (
        bits,
        compiled,
        compiled_update_each,
        find_cuts,
        from_bits,
        fused,
        gradients_wanted,
        is_traced,
        new_train_function,
        replicas,
    )
elif keras.backend.backend() == "torch":
    from keras_dsd.backend.torch import (
        bits,
        compiled,
        compiled_update_each,
        find_cuts,
        from_bits,
        fused,
        gradients_wanted,
        is_traced,
        new_train_function,
        replicas,
    )
else:
    raise ImportError(
        "keras_dsd trains on the TensorFlow, JAX and PyTorch backends of Keras. "
        f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
    )

__all__ = [
    "bits",
    "compiled",
    "compiled_update_each",
    "find_cuts",
    "from_bits",
    "fused",
    "gradients_wanted",
    "is_traced",
    "new_train_function",
    "replicas",
]
