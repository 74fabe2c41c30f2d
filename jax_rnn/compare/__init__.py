"""The two frameworks side by side: how far apart, how fast, what a person looks at."""
