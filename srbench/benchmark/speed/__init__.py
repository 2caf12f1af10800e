"""Timing: passes by the clock, two models against each other, what a backend changes, cost by size."""
