"""What the chart renders and refuses, and what its files do when they run."""
