"""Looks at what a study needs, and says what to do: the machine, the database, the cluster."""
