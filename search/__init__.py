"""The study: its spec, the driver that asks and tells in packs, and the command line."""
