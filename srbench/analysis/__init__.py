"""What scores say: comparisons, regressions, which convention gives a number, claims of papers."""
