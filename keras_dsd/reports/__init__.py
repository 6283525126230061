"""Reports: records of runs as text and pictures. Knows the records only."""

from keras_dsd.reports.run_page import run

__all__ = [
    "audit_view",
    "export_page",
    "forms",
    "language",
    "page",
    "recognition",
    "robustness_page",
    "run",
    "study_page",
    "writing",
]
