"""Deploy: files for other programs, and proof that they do what the model does."""

from keras_dsd.deploy.comparing import Comparison, compare_files
from keras_dsd.deploy.export_record import Export, ExportError
from keras_dsd.deploy.exporting import export
from keras_dsd.deploy.formats import FORMATS

__all__ = [
    "FORMATS",
    "Comparison",
    "Export",
    "ExportError",
    "compare_files",
    "export",
]
