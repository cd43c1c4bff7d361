"""The page of `etsim report`: HTML and SVG from results, nothing computed, nothing loaded."""
