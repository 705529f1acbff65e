"""Studies in the Optuna dashboard: their answer on its pages, and a server for these."""
