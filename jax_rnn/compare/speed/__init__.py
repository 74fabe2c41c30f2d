"""How fast layers are: the same problem for every contender, parity before timing."""
