"""Parts: what several families of figures are drawn with."""
