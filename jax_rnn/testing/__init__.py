"""How a cell and a model are examined: the exam of a cell, the ladder of parity with torch."""
