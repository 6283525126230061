"""Which connections are there: at a moment, through time and between runs."""
