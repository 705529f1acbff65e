"""What is searched, and how a pack of it is built and trained.

The modules of pure types (`design`, `dimensions`, `outcome`, `pack`, `recipe`) load no torch:
the driver, the storage and the command line use them freely.
"""
