"""What a model does on data: its loss, metric and gradient, and units that are dead."""
