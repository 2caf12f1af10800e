"""Student's t, by the functions that `scipy.stats.t` calls: importing that takes longer than a report of a thousand
images, and every run ends with one."""

from __future__ import annotations


def ppf(p: float, freedom: int) -> float:
    """The t below which lies a share `p`."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def sf(t: float, freedom: int) -> float:
    """The share above `t`."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))
