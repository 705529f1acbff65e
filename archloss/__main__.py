"""`python -m archloss` is the command `archloss`."""

from archloss.search.cli import main

if __name__ == "__main__":
    main()
