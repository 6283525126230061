"""What `keras-dsd train` does once its arguments are read: data, training, one page."""
