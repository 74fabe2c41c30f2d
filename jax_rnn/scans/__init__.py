"""How a cell is run over time. Every scan gives the same answer."""
