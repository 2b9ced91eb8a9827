"""Jobs that translate, score or check corpora of any size, shard by shard.

A job is a folder with `job.json`, which says what is done, and a marker for each shard that is done. Workers take
shards, and need no coordination: the output of a shard depends only on the job, it appears as a whole, and its marker
is written after it. A job that was interrupted continues when it is started again.
"""
