"""What all lessons share: their definition, training, sampling and printed output."""
