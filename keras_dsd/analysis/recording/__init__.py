"""What `Snapshots` keeps of a run: written while it trains, and read back."""
