"""Speed of layers: all libraries get the same problem and must agree before they are timed."""
