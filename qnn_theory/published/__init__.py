"""The numbers that the paper and its released logs hold, as CSV, and how they are read. Imports nothing of ours."""
