"""More than a line between observations: composites, metrics, smoothing, harmonics and the dates of the season."""
