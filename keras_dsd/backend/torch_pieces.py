"""Large tensors of PyTorch's, piece by piece, so that what is made of them stays small.

Run op by op, each intermediate result is as large as the weight. On a CPU that is what
takes the time: memory is got from the system anew, page by page, and read and written
for each operation. Pieces are made, used and forgotten in the caches. Knows PyTorch
only.
"""

import torch

PIECE = 1 << 18  # entries; fewer cost more calls, more do not fit in the caches


def of(*tensors):
    """Yields the pieces of some tensors of one shape, side by side, flat.

    They are views: writing to them writes to the tensors. A tensor without dimensions
    goes with each piece. Of small tensors, of those that lie scattered in memory and on
    other devices there is one piece, the tensors as they are.
    """
    first = tensors[0]
    if (
        first.numel() <= PIECE
        or first.device.type != "cpu"
        or not all(tensor.is_contiguous() for tensor in tensors)
    ):
        yield tensors
        return
    flat = [tensor.view(-1) if tensor.dim() else tensor for tensor in tensors]
    for start in range(0, first.numel(), PIECE):
        end = start + PIECE
        yield tuple(tensor[start:end] if tensor.dim() else tensor for tensor in flat)


def flags(compare, keys, key):
    """Returns booleans, `compare(keys, key)` of integers, such as `torch.lt`.

    By way of integers, which PyTorch does three times as fast as directly.
    """
    return compare(keys, key, out=torch.empty_like(keys)).bool()
