"""The corruptions: what each does to pixels, their names, and `corrupt`.

Knows images; no model and no metric.
"""
