"""Jobs that translate, score or check corpora of any size, on any number of machines, and that resume after any death.

A job is a folder. `job.py` says what is to be done, and splits the input into shards. An engine (`local.py`,
`ray_cluster.py`) lets workers process shards (`shard.py`). `ledger.py` records which shards are done.
"""
