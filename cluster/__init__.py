"""Many machines, by Ray: many pictures as tasks (`tasks.py`), one picture's tiles over actors
(`tiles.py`). Ray is imported where a cluster is asked for, and nowhere else."""
