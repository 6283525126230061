import keras
from keras import ops
import numpy as np
from keras_dsd import patterns as P
def choose(weights, patterns, zeros, shared):
    """interim"""
    shared=[i for i,f in enumerate(shared) if f]
    finite=ops.stack([ops.all(ops.isfinite(w)) for w in weights])
    return _choose(weights,patterns,zeros,shared), finite
def _choose(weights, patterns, zeros, shared):
    out=[None]*len(weights)
    if shared:
        flat=ops.concatenate([ops.reshape(ops.abs(weights[i]),(-1,)) for i in shared])
        m=_mask(flat,zeros[shared[0]]); o=0
        for i in shared:
            n=int(np.prod(weights[i].shape)); out[i]=ops.reshape(m[o:o+n],weights[i].shape); o+=n
    for i,(w,p) in enumerate(zip(weights,patterns)):
        if out[i] is not None: continue
        out[i]=ops.reshape(_mask(ops.reshape(ops.abs(w),(-1,)),zeros[i]),w.shape)
    return out
def _mask(flat,k):
    n=flat.shape[0]
    order=ops.argsort(-flat)  # assume stable
    rank=ops.scatter(order[:,None],ops.arange(n),(n,))
    return rank < n-k
def magnitude(w,s,pattern=None):
    from keras_dsd import counts
    w=ops.convert_to_tensor(w)
    return ops.reshape(_mask(ops.reshape(ops.abs(w),(-1,)),counts.zeros(int(np.prod(w.shape)),s)),w.shape)
