"""Errors of the slides and their code, one per file, and how they fail today.

Every file describes what the slide does, what happens, and the correct code, and has one small
function that runs the faulty code. The lessons do not use these files.
"""
