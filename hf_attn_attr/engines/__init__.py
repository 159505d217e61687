"""Many machines and devices: the same extraction and the same fold, in shards.

A corpus is cut into shards (`corpus.py`); each is extracted and folded into an accumulator, and
accumulators are merged as a tree (`shards.py`), all of it kept by name and digest (`results.py`).
Who computes which shard is left to an existing engine (`dask.py`), or to any loop over the shards.
"""
