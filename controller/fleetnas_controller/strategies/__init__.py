"""Search strategies: each asks and tells, and does nothing else."""
