"""How words are typed, and how answers look. Pure.

Invariant: text of a task, a row or a site steers no terminal and breaks no line.
"""
