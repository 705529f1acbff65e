"""Where a pack runs: in this process, or in spawned ones."""
