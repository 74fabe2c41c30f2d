"""What all lessons share: their definition, the training loop, layers and sampling."""
