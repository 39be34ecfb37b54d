"""What is made of many runs: sweep, selection, statistics, interference, comparison."""
