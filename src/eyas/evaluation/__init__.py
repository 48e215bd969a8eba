"""How good it is: metrics with intervals, stored predictions, figures. Numpy only."""
