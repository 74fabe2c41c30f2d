"""The faults of the slides and of their code, one a file, as they fail today.

Every file says what the slide does, what happens, and what is right, and has one small function
that runs the faulty code. None of this is needed by the lessons.
"""
