"""One figure per file: numbers in, a plotly Figure out, drawn in the light palette."""
