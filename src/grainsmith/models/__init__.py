"""The networks and what turns their flows into grains."""
