"""What all lessons share: their definition, the training loop, and drawing symbols."""
