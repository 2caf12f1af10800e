"""Results: records, the folder that keeps them, means and intervals, the environment they were made in."""
