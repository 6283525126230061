"""How weights are distributed, and what became of those that were pruned."""
