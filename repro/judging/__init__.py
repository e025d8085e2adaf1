"""Judging: verdicts on reported numbers, and the papers' claims."""
