"""Reports: records of runs as text and pictures. Knows the records only."""

__all__ = [
    "audit_view",
    "export_page",
    "forms",
    "language",
    "page",
    "robustness_page",
    "study_page",
    "writing",
]
