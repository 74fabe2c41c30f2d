"""What all other parts use: types, checks of arguments, devices, files, messages."""
