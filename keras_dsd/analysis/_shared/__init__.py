"""What analyses have in common: tables, weights piece by piece, models checked."""
