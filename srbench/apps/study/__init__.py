"""Blind rating by people: which of two SR images is nearer to the reference, or how good is one of them?

`make` writes a folder: `study.json`, and pictures under names that tell nothing. `serve` shows them to raters and keeps
their answers in `answers.sqlite` beside it. `score` turns answers into strengths with intervals.
"""
