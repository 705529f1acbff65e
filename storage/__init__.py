"""What is remembered: Optuna's tables and ours, in one database."""
